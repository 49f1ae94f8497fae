TEACH = f"{RESULTS}/teach"
FIGURES = f"{TEACH}/tests/{{name}}.test.json"
RULE_BASED = FIGURES.format(name="rule_based")
RULE_BASED_OPTIONS = CaptionOptions(backend="rule_based")


rule teach:
    input:
        expand(FIGURES, name=["rule_based", "zero_shot", "finetuned"]),


rule teach_data:
    input:
        outdated(outdated_examples),
        manifests=expand(
            f"{RESULTS}/{{dataset}}/manifest.parquet",
            dataset=config["teach"]["datasets"],
        ),
        regions=pristine_regions,
    output:
        train=f"{TEACH}/train.jsonl",
        validation=f"{TEACH}/validation.jsonl",
        test=f"{TEACH}/test.jsonl",
        sources=f"{TEACH}/data.json",
        failures=f"{TEACH}/data.failures.parquet",
    log:
        f"{LOGS}/teach/data.log",
    benchmark:
        f"{LOGS}/teach/data.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(240),
    params:
        folder=subpath(output.train, parent=True),
        flags=untracked(examples_flags),
        options=EXAMPLES,
        version=VERSIONS["teach"],
    message:
        "teach data: pristine photographs to examples"
    shell:
        "python -m rsfiqa teach data {params.folder:q} {params.flags} > {log:q} 2>&1"


rule teach_train:
    input:
        outdated(outdated_finetuned),
        train=rules.teach_data.output.train,
        validation=rules.teach_data.output.validation,
    output:
        card=f"{TEACH}/finetuned/teach.json",
    log:
        f"{LOGS}/teach/train.log",
    benchmark:
        f"{LOGS}/teach/train.tsv"
    conda:
        "../../envs/teach.yaml"
    threads: 8 * max(1, config["gpus"]["teach"])
    resources:
        gpu=config["gpus"]["teach"],
        mem_mb=memory(64000),
        runtime=minutes(1440),
    params:
        folder=subpath(input.train, parent=True),
        output=subpath(output.card, parent=True),
        python=processes(config["gpus"]["teach"]),
        flags=untracked(
            lambda wildcards: flags(
                config["teach"]["train"] | {"seed": config["seed"]}
            )
        ),
        options=FINETUNED,
        version=VERSIONS["teach"],
    message:
        "teach train: examples to a model that vLLM serves"
    shell:
        "{params.python} -m rsfiqa teach train {params.folder:q} --output {params.output:q}"
        " {params.flags} > {log:q} 2>&1"


rule teach_rule_based:
    input:
        outdated(
            lambda wildcards: [
                (RULE_BASED, OUTDATED.figures(Path(RULE_BASED), RULE_BASED_OPTIONS))
            ]
        ),
        test=rules.teach_data.output.test,
    output:
        figures=RULE_BASED,
        answers=f"{TEACH}/tests/rule_based.test.jsonl",
        stats=f"{TEACH}/tests/rule_based.test.stats.json",
    log:
        f"{LOGS}/teach/rule_based.test.log",
    benchmark:
        f"{LOGS}/teach/rule_based.test.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        folder=subpath(input.test, parent=True),
        version=VERSIONS["teach"],
    message:
        "teach test: rule_based"
    shell:
        "python -m rsfiqa teach test {params.folder:q} --name rule_based --backend rule_based"
        " > {log:q} 2>&1"


rule teach_test:
    input:
        outdated(
            lambda wildcards: [
                (
                    FIGURES.format(name=wildcards.name),
                    OUTDATED.figures(
                        Path(FIGURES.format(name=wildcards.name)),
                        CaptionOptions(**captioner_options(wildcards)),
                    ),
                )
            ]
        ),
        test=rules.teach_data.output.test,
        card=lambda wildcards: (
            rules.teach_train.output.card if wildcards.name == "finetuned" else []
        ),
    output:
        figures=FIGURES,
        answers=f"{TEACH}/tests/{{name}}.test.jsonl",
        stats=f"{TEACH}/tests/{{name}}.test.stats.json",
    log:
        f"{LOGS}/teach/{{name}}.test.log",
    benchmark:
        f"{LOGS}/teach/{{name}}.test.tsv"
    wildcard_constraints:
        name="zero_shot|finetuned",
    conda:
        "../../envs/vllm.yaml"
    threads: 8 * SERVED_GPUS
    resources:
        gpu=config["gpus"]["caption"],
        mem_mb=memory(48000 + 16000 * SERVED_GPUS),
        runtime=minutes(240),
    params:
        folder=subpath(input.test, parent=True),
        flags=untracked(lambda wildcards: flags(captioner_options(wildcards))),
        version=VERSIONS["teach"],
    message:
        "teach test: {wildcards.name}"
    shell:
        "python -m rsfiqa teach test {params.folder:q} --name {wildcards.name} {params.flags}"
        " > {log:q} 2>&1"
