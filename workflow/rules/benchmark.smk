rule overlap:
    input:
        expand(f"{RESULTS}/{{dataset}}/manifest.parquet", dataset=DATASETS),
    output:
        OVERLAP,
    log:
        f"{LOGS}/benchmark/overlap.log",
    benchmark:
        f"{LOGS}/benchmark/overlap.tsv"
    priority: 85
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        root=subpath(output[0], ancestor=2),
        flags=flags({"dataset": DATASETS}),
        version=VERSIONS["benchmark"],
    message:
        "overlap: data sets must share no images"
    shell:
        "python -m rsfiqa overlap {params.root:q} {params.flags} > {log:q} 2>&1"


rule benchmark:
    input:
        outdated(outdated_tables),
        products=products_of("train"),
        checkpoints=checkpoints_of,
    output:
        results=tables(METHODS, test="{train}"),
        predictions=tables(METHODS, ".predictions.parquet", test="{train}"),
        stats=tables(METHODS, ".stats.json", test="{train}"),
    log:
        f"{LOGS}/benchmark/{{train}}.{{train}}.log",
    benchmark:
        f"{LOGS}/benchmark/{{train}}.{{train}}.tsv"
    priority: 30
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        gpu=min(1, TRAIN_GPUS),  # a fine-tuned backbone computes its features of the images
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        root=results_folder,
        test=test_set,
        flags=untracked(benchmark_flags),
    message:
        "benchmark: train on {wildcards.train}, test on {params.test}"
    shell:
        "python -m rsfiqa benchmark {params.root:q} --replace --train {wildcards.train} --test"
        " {params.test} {params.flags} > {log:q} 2>&1"


if CROSS_METHODS:

    # across two data sets, without the variants that are trained for the ablation alone
    use rule benchmark as benchmark_cross with:
        input:
            outdated(outdated_tables),
            products=products_of("train", "test"),
            checkpoints=checkpoints_of,
            overlap=ancient(OVERLAP),
        output:
            results=tables(CROSS_METHODS),
            predictions=tables(CROSS_METHODS, ".predictions.parquet"),
            stats=tables(CROSS_METHODS, ".stats.json"),
        log:
            f"{LOGS}/benchmark/{{train}}.{{test}}.log",
        benchmark:
            f"{LOGS}/benchmark/{{train}}.{{test}}.tsv"

    ruleorder: benchmark > benchmark_cross
