rule train:
    input:
        manifest=f"{RESULTS}/{{dataset}}/manifest.parquet",
        products=products_of("dataset"),
    output:
        weights=f"{RESULTS}/train/{{dataset}}.{{variant}}/{{split}}/model.safetensors",
        card=f"{RESULTS}/train/{{dataset}}.{{variant}}/{{split}}/card.json",
        split=f"{RESULTS}/train/{{dataset}}.{{variant}}/{{split}}/split.parquet",
        stats=f"{RESULTS}/train/{{dataset}}.{{variant}}/{{split}}/stats.json",
    log:
        "logs/train/{dataset}.{variant}/{split}.log",
    benchmark:
        "logs/train/{dataset}.{variant}/{split}.tsv"
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
        output=subpath(output.card, parent=True),
        python=processes(TRAIN_GPUS),
        flags=flags(
            config["train"]
            | {
                "seed": config["seed"],
                "test_fraction": config["benchmark"]["test_fraction"],
            }
            | ({"weights": config["extract"]["weights"]} if FINETUNE else {})
        ),
        version=VERSIONS["train"],
    message:
        "train {wildcards.variant} on {wildcards.dataset}, {wildcards.split}"
    shell:
        "exec {params.python} -m rsfiqa train {params.folder} --output {params.output} --variant"
        " {wildcards.variant} --split {wildcards.split} {params.flags} > {log} 2>&1"
