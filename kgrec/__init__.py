"""A knowledge-graph-centric recommendation engine.

What `__all__` names is the public API, described in docs/reference.md. Names are imported when
they are first used (PEP 562), so that `import kgrec` costs next to nothing and a program that
serves never imports torch. Modules below the package are internal: they may change in any release.
"""

from kgrec.version import __version__

_PUBLIC = {
    "kgrec.config": ("Settings", "load_settings"),
    "kgrec.data.atomic": ("SplitDataset", "read_folder", "read_whole"),
    "kgrec.data.dataset": ("Column", "Dataset", "Facts", "Interactions", "LinkType", "Links"),
    "kgrec.data.protocols": ("ProtocolConfig", "hold_out"),
    "kgrec.data.selection": ("Selection",),
    "kgrec.data.sources": ("Source",),
    "kgrec.data.vocabulary": ("Vocabulary",),
    "kgrec.errors": (
        "ConfigError",
        "DataError",
        "GraphError",
        "KGRecError",
        "ModelError",
        "NotFoundError",
    ),
    "kgrec.evaluation.evaluate": ("EvaluateConfig", "evaluate"),
    "kgrec.evaluation.measure": ("HeldOutQueries", "Measurement", "measure"),
    "kgrec.evaluation.result": ("EvaluationResult",),
    "kgrec.explain.explainer": ("Explainer",),
    "kgrec.explain.records": ("Explanation",),
    "kgrec.export.hetero_files": ("load_hetero", "save_hetero"),
    "kgrec.export.networkx": ("to_networkx",),
    "kgrec.export.parquet": ("write_parquet",),
    "kgrec.export.pyg": ("to_hetero",),
    "kgrec.graph": ("open_graph",),
    "kgrec.graph.store": ("GraphStore",),
    "kgrec.graph.training_data": ("read_dataset",),
    "kgrec.learning.agent": ("Agent", "AgentConfig", "FitContext"),
    "kgrec.learning.fit_team": ("fit_team",),
    "kgrec.learning.team_config": ("TeamConfig",),
    "kgrec.model.histories": ("Histories",),
    "kgrec.model.kernel": ("Kernel",),
    "kgrec.model.storage": ("load_team", "save_model", "save_team"),
    "kgrec.model.team": ("Team",),
    "kgrec.retrieval.batch": ("recommend_all", "write_recommended"),
    "kgrec.retrieval.recommender": ("Recommender", "RecommenderConfig"),
    "kgrec.retrieval.records": ("Recommendation", "RecommendationList"),
    "kgrec.schema": ("Schema", "load_schema"),
    "kgrec.stages.pipeline": ("Pipeline", "load_pipeline"),
    "kgrec.stages.publish": ("publish",),
    "kgrec.stages.run": ("run_pipeline",),
    "kgrec.stages.train": ("TrainConfig",),
}
_ORIGIN = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = ["__version__", *sorted(_ORIGIN)]


def __getattr__(name: str) -> object:
    """Import a public name from its module when it is first used."""
    if name not in _ORIGIN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    from kgrec.errors import missing_extra

    try:
        value = globals()[name] = getattr(importlib.import_module(_ORIGIN[name]), name)
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        raise error if missing is None else missing from None
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
