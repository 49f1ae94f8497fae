rule benchmark:
    input:
        products=products_of("train", "test"),
        checkpoints=checkpoints_of,
    output:
        results=f"{RESULTS}/benchmark/{{train}}.{{test}}.{{variant}}.parquet",
        predictions=f"{RESULTS}/benchmark/{{train}}.{{test}}.{{variant}}.predictions.parquet",
        stats=f"{RESULTS}/benchmark/{{train}}.{{test}}.{{variant}}.stats.json",
    log:
        "logs/benchmark/{train}.{test}.{variant}.log",
    benchmark:
        "logs/benchmark/{train}.{test}.{variant}.tsv"
    priority: 30
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        gpu=min(1, TRAIN_GPUS),  # a fine-tuned backbone sees the images anew
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        root=subpath(output.results, ancestor=2),
        flags=flags(
            {
                "seed": config["seed"],
                "test_fraction": config["benchmark"]["test_fraction"],
            }
        ),
        number=benchmark_number,
        official=lambda wildcards: (
            "--official" if split_kind(wildcards) == "official" else ""
        ),
        version=VERSIONS["benchmark"],
    message:
        "benchmark {wildcards.variant}: train on {wildcards.train}, test on {wildcards.test}"
    shell:
        "exec python -m rsfiqa benchmark {params.root} --train {wildcards.train} --test"
        " {wildcards.test} --variant {wildcards.variant} --number {params.number}"
        " {params.official} {params.flags}"
        " > {log} 2>&1"
