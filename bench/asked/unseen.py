"""More facts and questions, written when the search was done and never used to change it. Pure."""

from .facts import answered, failed, ran, said

UNSEEN = (
    ran(
        "rt = peaks.loc[peaks.compound == 'caffeine', 'rt'].iloc[0]\nprint(f'{rt:.2f} min')",
        "6.38 min",
        "6.38 min",
        ("When does caffeine elute?", "What is the retention time of caffeine?"),
        "caffeine rt",
    ),
    ran(
        "df['bmi'] = df.weight / (df.height / 100) ** 2\ndf.bmi.describe()[['mean', 'max']]",
        "mean    26.41\nmax     58.97\nName: bmi",
        "max     58.97",
        ("What was the highest BMI?", "How heavy is the heaviest person in terms of bmi?"),
        "bmi max",
    ),
    failed(
        "plt.savefig('/mnt/share/fig/overview.svg')",
        "PermissionError: [Errno 13] Permission denied: '/mnt/share/fig/overview.svg'",
        ("Why was the overview figure not saved?", "Where are we not permitted to write?"),
        "savefig PermissionError",
    ),
    said(
        "Dates in the invoices are American, month first; please parse them that way.",
        "Dates in the invoices are American",
        ("In what format are invoice dates?", "How should dates of the invoices be read?"),
        "invoices dates American",
    ),
    ran(
        "vif = [variance_inflation_factor(X.values, i) for i in range(X.shape[1])]\nmax(vif)",
        "14.92",
        "14.92",
        (
            "How large did the variance inflation factor get?",
            "Was there collinearity? What was the largest VIF?",
        ),
        "variance_inflation_factor",
    ),
    answered(
        "I resampled the audio to 16 kHz, since the recogniser was trained at that rate.",
        "resampled the audio to 16 kHz",
        ("At what rate is the audio sampled now?", "Why did you resample the recordings?"),
        "audio resampled kHz",
    ),
    ran(
        "lookup = dict(zip(codes.iso, codes.tariff))\nlookup['NZ']",
        "'T3-reduced'",
        "'T3-reduced'",
        ("Which tariff applies to New Zealand (NZ)?", "What's the tariff for NZ?"),
        "tariff NZ",
    ),
    ran(
        "%timeit -r3 tree.query(points, k=8)",
        "41.3 ms ± 902 µs per loop (mean ± std. dev. of 3 runs, 10 loops each)",
        "41.3 ms",
        ("How fast is a tree query of the points?", "What did timing the nearest neighbours give?"),
        "timeit tree query",
    ),
    failed(
        "spark.sql('select max(ts) from bronze.clicks')",
        "AnalysisException: Table or view not found: bronze.clicks",
        ("Which table was not found in Spark?", "What did Spark complain about with the clicks?"),
        "AnalysisException clicks",
    ),
    said(
        "We settled on a 70/15/15 split, stratified by hospital.",
        "70/15/15 split, stratified by hospital",
        (
            "How do we split the data into train, validation and test?",
            "By what is the split stratified?",
        ),
        "split stratified hospital",
    ),
    ran(
        "aic = {p: ARIMA(flow, order=(p, 1, 1)).fit().aic for p in range(4)}\n"
        "min(aic, key=aic.get)",
        "2",
        "min(aic, key=aic.get)",
        ("Which ARIMA order has the lowest AIC?", "What order did we select for the flow model?"),
        "ARIMA aic",
    ),
    ran(
        "dup = books.duplicated('isbn').sum()\nprint(dup, 'books twice')",
        "318 books twice",
        "318 books twice",
        ("How many duplicate ISBNs are there?", "How many books occurred more than once?"),
        "duplicated isbn",
    ),
    answered(
        "The memory leak came from the cached figures; closing them keeps the kernel at 900 MB.",
        "The memory leak came from the cached figures",
        ("What caused the memory leak?", "Why did the kernel need more and more memory?"),
        "memory leak figures",
    ),
    ran(
        "corr = panel[['ndvi', 'yield_t']].corr().iloc[0, 1]\nround(corr, 3)",
        "0.742",
        "0.742",
        (
            "How strongly is NDVI correlated with yield?",
            "What correlation has ndvi with the yield?",
        ),
        "corr ndvi yield_t",
    ),
    ran(
        "tz = raw.index.tz_localize('UTC').tz_convert('America/Halifax')\nraw.index = tz",
        "",
        "America/Halifax",
        ("Into which time zone did we convert the index?", "What timezone is the raw data in?"),
        "tz_convert raw",
    ),
    ran(
        "resid = obs - fitted\nshapiro(resid)",
        "ShapiroResult(statistic=0.981, pvalue=0.2217)",
        "pvalue=0.2217",
        ("Are the residuals normally distributed?", "What did the Shapiro test say on residuals?"),
        "shapiro resid",
    ),
    said(
        "Colour-blind safe palettes only, and no red with green, one referee insisted.",
        "no red with green",
        ("Which colours must not be combined?", "What did the referee insist on for the palette?"),
        "palette referee",
    ),
    ran(
        "thr = precision_recall_threshold(y, p, recall=0.9)\nprint('threshold', round(thr, 3))",
        "threshold 0.287",
        "threshold 0.287",
        (
            "Which threshold gives a recall of 0.9?",
            "Where did we set the cut-off to reach 90 % recall?",
        ),
        "threshold recall",
    ),
    failed(
        "env = gym.make('LunarLander-v2')",
        "DeprecatedEnv: Environment version v2 for `LunarLander` is deprecated. Use v3 instead.",
        ("Which environment was deprecated?", "What version of LunarLander should be used?"),
        "LunarLander deprecated",
    ),
    ran(
        "n = texts.str.len().gt(512).sum()\nprint(f'{n} of {len(texts)} truncated')",
        "1447 of 20350 truncated",
        "1447 of 20350 truncated",
        ("How many texts had to be truncated?", "How many texts are longer than 512 characters?"),
        "texts truncated",
    ),
    answered(
        "I would wait with the dashboard until the finance team confirms the cost centres.",
        "until the finance team confirms the cost centres",
        ("What should we wait for before the dashboard?", "Who must confirm the cost centers?"),
        "dashboard finance",
    ),
    ran(
        "params, cov = curve_fit(michaelis, s, v)\nprint('Vmax %.2f Km %.3f' % tuple(params))",
        "Vmax 87.14 Km 0.219",
        "Vmax 87.14 Km 0.219",
        ("What Km did the enzyme have?", "Which parameters resulted from the Michaelis fit?"),
        "curve_fit michaelis",
    ),
    ran(
        "survey.replace({-9: np.nan}, inplace=True)\nsurvey.q17.value_counts(normalize=True)",
        "agree       0.53\nneutral     0.29\ndisagree    0.18",
        "agree       0.53",
        ("What share agreed with question 17?", "How was q17 of the survey answered?"),
        "survey q17",
    ),
    ran(
        "best = study.best_params\nprint(best)",
        "{'lr': 0.00031, 'dropout': 0.22, 'hidden': 384}",
        "'dropout': 0.22",
        ("What dropout did the hyperparameter study find?", "Which learning rate was best?"),
        "study best_params",
    ),
)
"""Asked in the same way, and reported by themselves."""
