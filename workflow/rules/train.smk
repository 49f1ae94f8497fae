rule train:
    input:
        outdated_checkpoints(),
        manifest=f"{RESULTS}/{{dataset}}/manifest.parquet",
        products=products_of("dataset"),
        overlap=overlap_of,
    output:
        weights=f"{RESULTS}/train/{{dataset}}.{{variant}}/{{split}}/model.safetensors",
        card=f"{RESULTS}/train/{{dataset}}.{{variant}}/{{split}}/card.json",
        split=f"{RESULTS}/train/{{dataset}}.{{variant}}/{{split}}/split.parquet",
        stats=f"{RESULTS}/train/{{dataset}}.{{variant}}/{{split}}/stats.json",
    log:
        f"{LOGS}/train/{{dataset}}.{{variant}}/{{split}}.log",
    benchmark:
        f"{LOGS}/train/{{dataset}}.{{variant}}/{{split}}.tsv"
    priority: 40
    conda:
        "../../envs/core.yaml"
    threads: TRAIN_THREADS
    resources:
        gpu=TRAIN_GPUS,
        mem_mb=memory(4000),
        runtime=minutes(240),
    params:
        folder=subpath(input.manifest, parent=True),
        python=processes(TRAIN_GPUS),
        flags=train_flags(),
    message:
        "train {wildcards.variant} on {wildcards.dataset}, {wildcards.split}"
    shell:
        "{params.python} -m rsfiqa train {params.folder:q} --replace --variant {wildcards.variant}"
        " {params.flags} > {log:q} 2>&1"


if config["benchmark"]["batch_splits"]:

    # all random splits in one process: on small data most of a job is its start
    use rule train as train_batch with:
        input:
            outdated_checkpoints(*RANDOM_SPLITS),
            manifest=f"{RESULTS}/{{dataset}}/manifest.parquet",
            products=products_of("dataset"),
        output:
            weights=checkpoint_files("model.safetensors"),
            card=checkpoint_files("card.json"),
            split=checkpoint_files("split.parquet"),
            stats=checkpoint_files("stats.json"),
        log:
            f"{LOGS}/train/{{dataset}}.{{variant}}.log",
        benchmark:
            f"{LOGS}/train/{{dataset}}.{{variant}}.tsv"
        params:
            folder=subpath(input.manifest, parent=True),
            python=processes(TRAIN_GPUS),
            flags=train_flags(*RANDOM_SPLITS),
        message:
            "train {wildcards.variant} on {wildcards.dataset}, all random splits"

    ruleorder: train_batch > train
