"""Facts of a session of mixed work, and questions for them as people put them. Pure.

A question need not share the words of its cell: people inflect, and use other words for a thing.
"""

from typing import NamedTuple


class Fact(NamedTuple):
    """A run with a fact in it, or a prompt or an answer. `fact`: the exact text to find.

    `sentences`: questions in full. `keywords`: as a searcher would type them.
    """

    where: str
    source: str
    output: str
    fact: str
    sentences: tuple[str, str]
    keywords: str


def ran(source: str, output: str, fact: str, sentences: tuple[str, str], keywords: str) -> Fact:
    return Fact("run", source, output, fact, sentences, keywords)


def failed(source: str, output: str, sentences: tuple[str, str], keywords: str) -> Fact:
    return Fact("error", source, output, output, sentences, keywords)


def said(text: str, fact: str, sentences: tuple[str, str], keywords: str) -> Fact:
    return Fact("said", text, "", fact, sentences, keywords)


def answered(text: str, fact: str, sentences: tuple[str, str], keywords: str) -> Fact:
    return Fact("answer", text, "", fact, sentences, keywords)


FACTS = (
    ran(
        "churn = subs.groupby('plan').cancelled.mean()\nprint(churn.round(4))",
        "plan\nbasic     0.0812\nfamily    0.0347\nstudent   0.1190\nName: cancelled",
        "student   0.1190",
        (
            "What was the churn rate of students?",
            "How many of the student plan subscribers cancelled on average?",
        ),
        "churn student plan",
    ),
    ran(
        "clf = XGBClassifier(max_depth=6, learning_rate=0.07, n_estimators=840)\n"
        "clf.fit(X_train, y_train)\nprint('AUC', roc_auc_score(y_test, clf.predict_proba(X_test)))",
        "AUC 0.8731",
        "AUC 0.8731",
        (
            "Which AUC did the gradient boosting classifier reach on the test set?",
            "How well did XGBoost score in testing?",
        ),
        "XGBClassifier AUC",
    ),
    ran(
        "orders = pd.read_csv('/srv/exports/shop/orders_2023-11-04.csv', sep=';')\norders.shape",
        "(48211, 19)",
        "/srv/exports/shop/orders_2023-11-04.csv",
        (
            "Where did we load the orders from?",
            "Which file holds the shop's order export?",
        ),
        "read_csv orders",
    ),
    failed(
        "merged = orders.merge(customers, on='cust_id', validate='m:1')",
        "MergeError: Merge keys are not unique in right dataset; not a many-to-one merge",
        (
            "Why did joining orders with customers fail?",
            "What went wrong when we merged the customers?",
        ),
        "MergeError customers",
    ),
    said(
        "For the pricing report leave out the wholesale accounts, they distort the margins.",
        "leave out the wholesale accounts",
        (
            "Which accounts did I want excluded from the pricing report?",
            "What should not be part of the report on prices?",
        ),
        "pricing report wholesale",
    ),
    ran(
        "lag = ccf(temperature, demand)[:48].argmax()\nprint(f'best lag: {lag} hours')",
        "best lag: 17 hours",
        "best lag: 17 hours",
        (
            "By how many hours does demand lag behind the temperature?",
            "What delay between temperature and demand did we find?",
        ),
        "lag temperature demand",
    ),
    ran(
        "spec = fits.open('/obs/night3/NGC4151_b.fits')[1].data\nz = redshift(spec)\n"
        "print('z =', z)",
        "z = 0.00332",
        "z = 0.00332",
        (
            "What redshift did we measure for NGC4151?",
            "Tell me the galaxy's red shift from night3.",
        ),
        "redshift NGC4151",
    ),
    answered(
        "The duplicate sensors are 14 and 52: both report the same serial number, so I kept 14.",
        "The duplicate sensors are 14 and 52",
        (
            "Which sensors turned out to be duplicates?",
            "What sensors were duplicated, and which one did you keep?",
        ),
        "duplicate sensors serial",
    ),
    ran(
        "df.isna().sum().sort_values(ascending=False).head(3)",
        "income        1932\nage            417\npostcode        88\ndtype: int64",
        "income        1932",
        (
            "How many values were missing in the income column?",
            "Which column had the most missing values?",
        ),
        "isna income",
    ),
    ran(
        "res = minimize(loss, x0, method='L-BFGS-B')\nprint(res.message, res.fun, res.nit)",
        "CONVERGENCE: REL_REDUCTION_OF_F_<=_FACTR*EPSMCH 12.40718 63",
        "12.40718",
        (
            "Did the optimizer converge, and at what loss?",
            "What minimum did the optimisation of the loss end at?",
        ),
        "minimize loss CONVERGENCE",
    ),
    failed(
        "img = Image.open(RAW / 'plate_0077.tif').convert('RGB')",
        "UnidentifiedImageError: cannot identify image file 'plate_0077.tif'",
        (
            "Which image could not be opened?",
            "What was the trouble with the plate pictures?",
        ),
        "UnidentifiedImageError plate",
    ),
    said(
        "Use Holt-Winters for the weekly forecast, ARIMA was too jumpy for the planners.",
        "Use Holt-Winters for the weekly forecast",
        (
            "Which forecasting method did I choose for the weeks?",
            "What did we decide to use for weekly forecasts?",
        ),
        "weekly forecast Holt-Winters",
    ),
    ran(
        "tokens = Counter(w for doc in corpus for w in doc.split())\ntokens.most_common(3)",
        "[('contract', 9120), ('tenant', 8644), ('lease', 7031)]",
        "('tenant', 8644)",
        (
            "What were the most common words of the corpus?",
            "How often does tenant occur in the documents?",
        ),
        "most_common tokens tenant",
    ),
    ran(
        "kappa = cohen_kappa_score(anno_a, anno_b)\nprint(f'agreement kappa={kappa:.3f}')",
        "agreement kappa=0.614",
        "kappa=0.614",
        (
            "How strongly did the two annotators agree?",
            "What was Cohen's kappa between annotators?",
        ),
        "cohen kappa",
    ),
    ran(
        "geo = gpd.read_file('districts.gpkg').to_crs(epsg=25832)\nprint(geo.crs, len(geo))",
        "EPSG:25832 412",
        "EPSG:25832 412",
        (
            "Into which projection were the districts converted?",
            "What coordinate system do the district shapes have?",
        ),
        "districts to_crs epsg",
    ),
    answered(
        "I pinned numpy to 1.26.4, because the compiled extension breaks with numpy 2.",
        "numpy to 1.26.4",
        (
            "Which version of numpy did you pin, and why?",
            "What numpy version is needed for the extension?",
        ),
        "numpy pinned version",
    ),
    ran(
        "sess['gap'] = sess.ts.diff() > pd.Timedelta('27min')\nn_sessions = sess.gap.sum()\n"
        "n_sessions",
        "15873",
        "Timedelta('27min')",
        (
            "After how many minutes of inactivity does a new session begin?",
            "What time gap separates two sessions?",
        ),
        "sess gap Timedelta",
    ),
    ran(
        "pca = PCA(n_components=0.95).fit(spectra)\nprint(pca.n_components_, 'components kept')",
        "11 components kept",
        "11 components kept",
        (
            "How many principal components of the spectra did we keep?",
            "How many dimensions were left after the PCA?",
        ),
        "PCA components kept",
    ),
    failed(
        "requests.get(f'{API}/stations', timeout=5).raise_for_status()",
        "HTTPError: 403 Client Error: Forbidden for url: https://api.hydro.example/v2/stations",
        (
            "What happened when we requested the stations?",
            "Which error did the hydro API return for its stations?",
        ),
        "HTTPError 403 stations",
    ),
    said(
        "All amounts go into the ledger in Swiss francs, converted at the month's closing rate.",
        "converted at the month's closing rate",
        (
            "At which exchange rate should amounts be converted?",
            "How do I want currency handled in the ledger?",
        ),
        "ledger francs rate",
    ),
    ran(
        "t, p = ttest_ind(treated.bp, control.bp, equal_var=False)\nprint(f't={t:.2f} p={p:.4f}')",
        "t=-2.87 p=0.0043",
        "p=0.0043",
        (
            "Was the difference in blood pressure between treated and control significant?",
            "What p value did the t-test of treatment against controls give?",
        ),
        "ttest_ind treated control",
    ),
    ran(
        "route = nx.shortest_path(G, 'depot', 'harbour', weight='km')\nprint(route, cost(route))",
        "['depot', 'mill', 'ring-east', 'harbour'] 31.8",
        "['depot', 'mill', 'ring-east', 'harbour'] 31.8",
        (
            "What is the shortest way from the depot to the harbour?",
            "How long was the route to the harbor in kilometres? It starts at the depot.",
        ),
        "shortest_path depot harbour",
    ),
    ran(
        "blend = 0.35 * ridge_pred + 0.65 * forest_pred\nrmse(blend, y_val)",
        "2.9164",
        "0.35 * ridge_pred",
        (
            "With which weights did we blend ridge and forest?",
            "What share does the ridge prediction have in the blended model?",
        ),
        "blend ridge_pred forest_pred",
    ),
    answered(
        "The nightly job is slow because the index on `events.user_id` is missing; adding it cut"
        " the query from 41 s to 0.6 s.",
        "from 41 s to 0.6 s",
        (
            "Why was the nightly job so slow?",
            "How much faster did the query get with an index?",
        ),
        "nightly job index",
    ),
    ran(
        "out = Path('deliver') / 'q3_margin_by_region.xlsx'\nreport.to_excel(out, index=False)",
        "",
        "q3_margin_by_region.xlsx",
        (
            "Where was the margin report saved?",
            "Under what name did we write out the Excel with margins by region?",
        ),
        "to_excel margin region",
    ),
    ran(
        "early = EarlyStopping(patience=9, restore_best_weights=True)\n"
        "hist = net.fit(train_ds, epochs=200, callbacks=[early], verbose=0)\nlen(hist.epoch)",
        "73",
        "patience=9",
        (
            "What patience does early stopping have?",
            "After how many epochs without improvement does training of the net stop?",
        ),
        "EarlyStopping patience",
    ),
    failed(
        "model.load_state_dict(torch.load('ckpt/unet_best.pt'))",
        "RuntimeError: size mismatch for head.weight: [12, 256] from checkpoint, [10, 256] here",
        (
            "Why couldn't the checkpoint be loaded?",
            "Which layer had mismatched sizes when loading the unet?",
        ),
        "RuntimeError size mismatch",
    ),
    said(
        "The board wants figures per capita, not totals, and only for towns above 20,000 people.",
        "only for towns above 20,000 people",
        (
            "For which towns does the board want the figures?",
            "From what population on are towns of interest to the board?",
        ),
        "board per capita towns",
    ),
    ran(
        "outl = iso.fit_predict(feat) == -1\nprint(outl.sum(), 'outliers in', len(feat))",
        "206 outliers in 41077",
        "206 outliers in 41077",
        (
            "How many outliers did the isolation forest detect?",
            "How many anomalous rows were there among the features?",
        ),
        "iso outliers",
    ),
    ran(
        "half_life = np.log(2) / -np.polyfit(days, np.log(conc), 1)[0]\nhalf_life",
        "8.0233",
        "8.0233",
        (
            "What half-life did the fit of the concentrations give?",
            "After how many days is half of the substance gone? We computed its half life.",
        ),
        "half_life polyfit",
    ),
    ran(
        "engine = create_engine('postgresql://ro@db-west-2/warehouse')\n"
        "with engine.connect(): pass",
        "",
        "db-west-2/warehouse",
        (
            "Which database host do we connect to?",
            "What is the address of the warehouse database?",
        ),
        "create_engine warehouse",
    ),
    answered(
        "Plan for later: rerun the survival curves with left truncation once the registry arrives.",
        "with left truncation once the registry arrives",
        (
            "What did you plan to do with the survival curves?",
            "What is still to be done once we have the registry?",
        ),
        "survival curves registry",
    ),
    ran(
        "seg = KMeans(5, random_state=3).fit_predict(rfm)\npd.Series(seg).value_counts()",
        "2    9210\n0    4418\n4    2207\n1     931\n3     122",
        "3     122",
        (
            "How large was the smallest customer cluster?",
            "What sizes did the segments from k-means have?",
        ),
        "KMeans value_counts",
    ),
    ran(
        "subset = ratings[ratings.votes >= 250]\n"
        "print(len(ratings) - len(subset), 'films dropped')",
        "7719 films dropped",
        "7719 films dropped",
        (
            "How many movies were removed for having too few votes?",
            "How many films did we drop from the ratings?",
        ),
        "ratings films dropped",
    ),
    failed(
        "pd.to_datetime(log['when'], format='%d.%m.%Y %H:%M')",
        "ValueError: time data '31/12/2021' does not match format '%d.%m.%Y %H:%M'",
        (
            "Which date in the log could not be parsed?",
            "Why did the conversion of the log's timestamps fail?",
        ),
        "to_datetime ValueError format",
    ),
    said(
        "Never touch raw/2019.parquet, the auditors still compare against it.",
        "Never touch raw/2019.parquet",
        (
            "Which file must not be touched because of the auditors?",
            "What are we not allowed to modify?",
        ),
        "never touch parquet auditors",
    ),
)
"""All of them. Their order is drawn anew for each session."""
