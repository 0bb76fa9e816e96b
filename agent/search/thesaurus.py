"""English words that ask for nothing, and words of notebooks that stand for each other. Pure.

Each group has words that people and code use for one thing. None is of one field of work.
"""

from functools import cache

_STOP_WORDS = """
    a about above after again all also am an and any are as at be because been before being below
    between both but by can could did do does doing done down during each either else ever every few
    for from further get gets give given gives go got had has have having he her here hers him his
    how however i if in into is it its itself just let like made make makes many may me might more
    most much must my myself nor now of off on once one only or other our ours out over own please
    really same say she should show so some still such tell than that the their them then there
    these they thing things this those through to too two under until up upon us use used uses using
    very want wanted was we were what when where whether which while who whom whose why will with
    would yet you your yours
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

_GROUPS = """
    mean average avg averaged typical
    median middle p50
    std deviation stdev sd spread
    variance var
    max maximum highest largest biggest peak top greatest nlargest most
    min minimum lowest smallest least bottom nsmallest
    sum total totals overall altogether
    count number amount value_counts nunique quantity frequency often
    size shape len length rows large dimensions dimension
    percent percentage share ratio proportion fraction rate pct weight weights
    quantile percentile
    unique distinct
    missing nan null isna isnull absent gap gaps blank fillna dropna empty
    duplicate duplicates duplicated drop_duplicates repeated twice
    outlier outliers anomaly anomalies anomalous odd
    error exception fail failed failure failing crash crashed broke broken wrong trouble problem
    could couldn't cannot unable
    file path csv parquet excel xlsx json document pickle
    folder directory dir
    load loaded read read_csv read_parquet open opened import source imread
    save saved write wrote written export exported store stored dump to_csv to_excel to_parquet
    database db sql sqlite postgres postgresql engine warehouse connection
    query select sql statement
    url link address endpoint host server api
    plot figure chart graph picture image draw drawn plt fig visualise visualize
    histogram hist distribution
    color colour palette cmap
    axis axes xlim ylim
    table dataframe frame df
    column field feature variable
    row record entry observation
    delete deleted drop dropped remove removed exclude excluded omit omitted leave left
    rename renamed
    replace replaced substitute
    add added append insert appended
    merge merged join joined joining combine combined concat
    group grouped groupby aggregate aggregated agg segment segments cluster clusters
    sort sorted order ordered rank sort_values
    filter filtered subset mask
    fit fitted train trained training learn estimate estimated regression polyfit ols
    predict predicted prediction predictions forecast forecasts pred
    test testing evaluate evaluation validation val
    score accuracy auc performance metric f1 quality
    loss cost objective
    residual residuals rmse mae mse error errors
    correlation correlated corr related
    significant significance pvalue p_value ttest
    optimize optimise optimizer minimize minimise optimum optimization minimum
    converge converged convergence
    cluster clusters clustering kmeans dbscan segments
    neural net network model
    classifier classification classify
    parameter param argument hyperparameter option setting config
    seed random_state random rng
    epoch epochs iteration iterations
    version release pinned
    install installed pip conda
    date day time datetime timestamp when to_datetime
    duration seconds took elapsed slow fast faster speed
    year annual yearly
    month monthly
    week weekly weeks
    daily day days
    hourly hour hours
    convert converted conversion cast astype transform transformed parse parsed
    distance route way path
    round rounded
    scale scaled normalize normalise normalized standardize
    difference diff delta change changed
    increase rise growth grew
    decrease drop fall decline
    threshold limit cutoff bound
    smooth smoothed rolling moving
    decide decided decision choose chose chosen agree agreed choice prefer
    plan planned todo later next open pending
    task goal aim purpose
    forbidden never not allowed prohibited
    modify modified touch change edit alter
    keep kept retain remain remaining
    reason because since cause
    user customer client customers users
    price prices pricing cost
    money currency amount dollar euro
    word words token tokens term
    fix fixed repair correct corrected
    check verify assert validate validated
"""


@cache
def alike() -> dict[str, tuple[str, ...]]:
    """For each word, the words that may stand for it."""
    found: dict[str, dict[str, None]] = {}
    for line in _GROUPS.strip().splitlines():
        words = line.split()
        for word in words:
            found.setdefault(word, {}).update(dict.fromkeys(it for it in words if it != word))
    return {word: tuple(others) for word, others in found.items()}
