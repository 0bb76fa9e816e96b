"""Methods of values that compute: of Python's own types, numpy, pandas, polars, plots and models.

Data. A method is known by its name alone, since nobody knows the class of a value before code runs.
Those that take a path are in `files`, those that take SQL or Python in `texts`.
"""

PREFIXES = (
    *("get_", "set_", "is_", "has_", "rolling_", "cum_", "arg_", "drop_", "add_", "with_", "from_"),
    *("nan", "fit", "predict", "fill_", "sort_", "query_", "total_", "bitwise_", "remove_"),
    *("rename_", "list_", "str_", "dt_", "update_", "configure_", "mark_", "encode_", "transform_"),
)
"""Beginnings of names of such methods."""
NOT_PLAIN = frozenset(
    (
        *("set_trace", "set_trace_callback", "set_authorizer", "set_progress_handler"),
        *("get_ipython", "set_wakeup_fd", "set_start_method", "set_callbacks", "add_reader"),
        *("add_signal_handler", "add_writer", "add_sys_path", "from_config", "from_file"),
        *("from_pretrained", "from_url", "from_uri", "from_json_file", "get_handle"),
    )
)
"""Names with such a beginning that do something else."""
_NAMES = """
abs absolute abspath accumulate aclose acorr acquire add add_argument add_edge
add_edges_from add_hline add_node add_nodes_from add_note add_trace add_vline adjusted agg
aggregate aic alias align align_labels align_titles align_xlabels align_ylabels all and_
angle_spectrum annotate anom antiderivative any append append_column appendleft apply apply_aspect
apply_index approx_n_unique approx_quantile arc_spine arccos arccosh arcsin arcsinh arctan arctanh
area argmax argmin argpartition argsort arrow as_integer_ratio as_numpy as_ordered as_posix
as_tuple as_unit as_unordered as_uri asend asformat asfreq asof asof_locs assign assign_attrs
assign_coords astimezone astype at at_time auto_scale_xyz autocorr autofmt_xdate autoscale
autoscale_None autoscale_view axhline axhspan axis axis_date axline axvline axvspan
background_gradient backward backward_fill bandpass bar bar3d bar_label barbs barh base_utc_offset
basis basis_element basis_name begin beta betavariate between between_time bfill bic bin_intervals
bin_quantiles bin_ranks binomial bit_count bit_length bottom_k bottom_k_by box boxplot
broadcast_equals broadcast_like broken_barh build_analyzer build_preprocessor build_tokenizer bxp
bytes byteswap cache cache_clear cache_info callback cancel cancelled cancelling canonical
capitalize case_when casefold cast cast_time_unit cat cbrt cdf ceil center century changed
check_for_ordered chisquare choice choices choose chunk chunk_lengths circular_spine cla clabel
clear clf clip clone close coarsen cohere collect collect_async collect_batches collect_schema
colorbar column column_names combine combine_chunks combine_first commit compare compare_signal
compare_total compare_total_mag compress compressed compute concat conf_int conj conjugate
contains contains_any contains_point contains_points contiguous contour contour3D contourf
contourf3D home cwd to_sql as_py getint getfloat getboolean stat
convert convert_calendar convert_dtypes convert_time_zone convert_units convert_xunits
convert_yunits convert_zunits copy copy_abs copy_negate copy_sign corr correct_covariance corrwith
cos cosh cost_complexity_pruning_path cot count count_matches count_neighbors count_nonzero cov
covariance_factor cpu create_aggregate create_all create_function create_task critical csd ctime
cumcount cummax cummin cumprod cumsum cumulative cumulative_eval cumulative_integrate cursor
curvefit cut cutdeg date day day_name days_in_month dbscan_clustering debug decision_function
decision_path decode decompress deg2rad degree degrees delaxes delete densify density deriv
derivative describe design_matrix detach df diagonal diff difference difference_update
differentiate digest dirichlet discard dispatch div divide divmod doit done dot draw draw_artist
draw_frame draw_without_rendering drop droplevel dropna dst dst_offset dt dumps duplicated ecdf
edges elements eliminate_zeros empty encode end ends_with endswith enter_context entropy epoch eq
eq_missing equal_levels equals erf erfc error error_norm errorbar escape_regex estimated_size eval
evalf evaluate eventplot ewm ewm_mean ewm_mean_by ewm_std ewm_sum ewm_sum_by ewm_var except_
exception exclude exists exp expand expand_as expand_dims expanding expandtabs expanduser expect
explain explode expm1 exponential export export_values expovariate extend extend_constant
extendleft extract extract_all extract_groups extract_many extractall extractfile f factorize
fatal fetch_df fetchall fetchdf fetchmany fetchnumpy fetchone ffill field field_names figimage
fileno fill filled fillna filter filter_by_attrs find find_many findall finditer findobj first
first_valid_index fit_resample flatten floor floordiv flush fma fold forecast format format_coord
format_cursor_data format_index format_index_names format_map format_xdata format_ydata
format_zdata forward forward_fill free_symbols freeze from_pandas from_pydict from_pylist fromhex
fromisocalendar fromisoformat fromkeys fromordinal fromroots fromtimestamp full fullmatch gamma
gammavariate gather gather_every gauss gca ge geometric get getChild getEffectiveLevel getH
getName getbuffer getcol getfield getformat getinfo getmember getmembers getnames getnnz
getrandbits getrow getstate getvalue gibbs glimpse grid group group_by group_by_dynamic group_keys
groupby groupby_bins groupdict grouped_bar groups gt gumbel hash hash_rows have_units having head
hex hexbin hexdigest hide highlight_between highlight_max highlight_min highlight_null
highlight_quantile hist hist2d hlines hstack hypergeometric identical identity ids idxmax idxmin
implode imshow in_axes index index_of indexer_at_time indexer_between_time indicate_inset
indicate_inset_zoom indices infer_objects info infolist insert insert_column insert_knot
inset_axes inspect integ integers integrate integrate_box integrate_box_1d integrate_gaussian
integrate_kde interactive interp interp_calendar interp_like interpolate interpolate_by
interpolate_na intersect intersection intersection_update interval inv_cdf inverse
inverse_transform invert_xaxis invert_yaxis invert_zaxis isDaemon isEnabledFor isSet isalnum
isalpha isascii isatty iscontiguous isdecimal isdigit isdisjoint isel isetitem isf isidentifier
isin islower isna isnull isnumeric iso_year isocalendar isoformat isoweekday isprintable isspace
issubset issuperset istitle isupper item items iter_columns iter_rows iter_slices iterrows
itertuples join join_asof join_thread join_where joinpath json_decode json_encode json_path_match
kde keep keys kneighbors kneighbors_graph kurt kurtosis label_outer laplace last last_valid_index
latent_mean_and_variance lazy le legend legend_elements len len_bytes len_chars level lhs limit
limit_denominator limit_range_for_scale line linear_spine linspace list ljust ln
locally_modified_subplot_params locator_params locked locked_lock log log10 log1p
log_marginal_likelihood logb logcdf logical_and logical_invert logical_or logical_xor logistic
loglog lognormal lognormvariate logpdf logseries logsf lower lower_bound lstrip lt
magnitude_spectrum mahalanobis maketrans map map_batches map_blocks map_columns map_dataframe
map_diag map_elements map_fields map_groups map_index map_lower map_rows map_upper mapparms
mappings marginal margins mark_bar mark_line mark_point mask match match_to_schema matshow max
max_by max_horizontal max_mag maximum mean mean_horizontal median melt memory_usage merge
merge_sorted millennium millisecond min min_by min_horizontal min_mag minimum minorticks_off
minorticks_on mod mode moment month month_end month_name month_start most_common most_similar
mouse_init move_legend move_to_end mul multinomial multiply multivariate_hypergeometric
multivariate_normal n_chunks n_unique namelist ne ne_missing nearest neg negative_binomial
neighbors new_child new_from_index new_subplotspec newbyteorder next_minus next_plus next_toward
ngroup nlargest nnlf node nodes noncentral_chisquare noncentral_f nonzero normal normalize
normalvariate not_ notify notify_all notna notnull now nsmallest null_count number_class numpy
nunique offset_by ohlc on_conflict_do_nothing one one_or_none or_ order ordinal_day otherwise
outer over overlap overlaps pad pad_end pad_start parameters params pareto paretovariate
parse_args partial_fit partialmethod partition partition_by pchanged pcolor pcolorfast pcolormesh
pct_change pdf peak_max peak_min peek permutation permute permuted perplexity phase_spectrum
physical pick pickable pie pie_label pipe pipe_with_dtype pipe_with_schema pivot pivot_table pl
plot plot3D plot_diagnostics plot_importance plot_surface plot_trisurf plot_wireframe poisson
polyfit pop pop_all popitem popleft pow power ppf predict prefix prefix_fields print_exc prod
product project properties prune psd ptp push put put_nowait putmask qcut qsize quantile quantiles
quantize quiver quiver3D quiverkey radd radians radius_neighbors radius_neighbors_graph radix rand
randbytes randint randn random random_integers random_sample randrange rank ravel rayleigh rdiv
rdivmod read readable readinto readline readlines rechunk reconfigure reconstruction_error reduce
reduceat refline register reindex reindex_like reinterpret relabel_index relative_to release relim
remainder_near remove removeprefix removesuffix rename reorder_categories reorder_levels repeat
repeat_by replace replace_all replace_column replace_many replace_strict replace_time_zone
requires_grad_ resample resampled reset reset_coords reset_index reset_position reset_ticks
reshape resize resolve result returning reverse reversed reweight_covariance rfind rfloordiv rhs
rindex rint rjust rle rle_id rmod rmul roll rollback rolling roots rotate round round_sig_figs row
rows rows_by_key rpartition rpow rsplit rstrip rsub rtruediv running rvs safe_substitute
same_quantum samefile sample sample_y samples scalar scalars scale_x_log10 scaleb scatter
scatter3D score score_samples scotts_factor search search_sorted searchsorted secondary_xaxis
secondary_yaxis seed seek seekable sel select select_dtypes select_seq sem semilogx semilogy
semilogz send set setLevel setName setdefault setdiag setfield setflags setinputsizes
setoutputsize setstate sf shareview sharex sharey sharez shift show shrink_dtype shrink_to_fit
shuffle shutdown sign silverman_factor simplify sin sinh size skew slice slice_indexer slice_locs
slice_replace snap solve sort sortby sorted_indices sortlevel span sparse sparse_distance_matrix
sparsify spawn specgram spectrogram split split_exact splitlines splitn spy sqrt squeeze stack
stackplot staged_decision_function staged_predict staged_predict_proba staged_score stairs
standard_cauchy standard_exponential standard_gamma standard_normal standard_t start starts_with
startswith static_order stats std stem stem3D step str streamplot strftime strip strip_chars
strip_chars_end strip_chars_start strip_prefix strip_suffix strptime struct sub subfigures
subgraph submit subn subplot_mosaic subplots subplots_adjust subs substitute subtract suffix
suffix_fields sum sum_duplicates sum_horizontal summary support suptitle supxlabel supylabel
swap_dims swapaxes swapcase swaplevel symmetric_difference symmetric_difference_update table tail
take tan tanh task_done tell tensordot testzip text text2D text3D text_gradient then thin throw
tick_bottom tick_params tick_top ticklabel_format tight_layout time timestamp timetuple timetz
title to to_array to_arrow to_batches to_bytes to_dask_dataframe to_dataarray to_dataframe
to_dataset to_date to_datetime to_datetime64 to_decimal to_device to_dict to_dicts to_dummies
to_eng_string to_flat_index to_frame to_index to_init_repr to_integer to_integral
to_integral_exact to_integral_value to_julian_date to_list to_lowercase to_map to_masked_array
to_numpy to_pandas to_period to_physical to_pydatetime to_pydict to_pylist to_pytimedelta
to_records to_rgba to_series to_stacked_array to_struct to_table to_time to_timedelta64
to_timestamp to_titlecase to_unstacked_dataset to_uppercase to_xarray toarray tobsr tobytes tocoo
tocsc tocsr today todense todia todok tolil tolist tomaxint toordinal top_k top_k_by toreadonly
torecords total total_seconds trace train transform transform_filter translate transpose
triangular tricontour tricontourf trim tripcolor triplot truediv trunc truncate truncdiv twinx
twiny type tz_convert tz_localize tzname uncancel uniform unify_chunks union union_all unique
unique_counts unnest unpivot unsqueeze unstack update update_bbox_position_size update_datalim
update_default_handler_map update_from update_layout update_normal update_scalarmappable
update_ticks update_traces update_units update_xaxes update_yaxes upper upper_bound upsample
utcfromtimestamp utcnow utcoffset utctimetuple validate value_counts values var view view_init
violin violinplot vlines vonmises vonmisesvariate voxels vstack wait wait_for wald warn warning
week weekday weibull weibullvariate weighted when where with_traceback wrap writable write
write_all writeheader writelines writerow writerows xaxis_date xaxis_inverted xcorr xor xs
yaxis_date yaxis_inverted zaxis_date zaxis_inverted zero_grad zfill zip_with zipf zscore
"""
PLAIN_METHODS = frozenset(_NAMES.split())
"""Further names."""


def is_plain_method(name: str) -> bool:
    """Whether a call of a method of this name computes, and no more."""
    if name in PLAIN_METHODS:
        return True
    return name.startswith(PREFIXES) and name not in NOT_PLAIN


WARY_ATTRIBUTES = frozenset(
    (
        *("f_globals", "f_locals", "f_builtins", "f_back", "gi_frame", "cr_frame", "ag_frame"),
        *("tb_frame", "ctypes", "user_ns", "user_global_ns", "modules", "environ", "meta_path"),
    )
)
"""Attributes that lead out of a value: to frames, to memory, to the shell."""
KNOWN_DUNDERS = frozenset(
    (
        *(
            "__name__",
            "__doc__",
            "__len__",
            "__init__",
            "__version__",
            "__qualname__",
            "__module__",
        ),
        *("__annotations__", "__repr__", "__str__", "__eq__", "__hash__", "__iter__", "__next__"),
        *("__getitem__", "__contains__", "__enter__", "__exit__", "__post_init__", "__call__"),
        *("__add__", "__sub__", "__mul__", "__lt__", "__new__", "__cause__", "__notes__"),
    )
)
"""Names with two underscores that mean no more than their operator."""
