"""What type checkers see of the public API; `__init__.py` imports the same names lazily."""

from kgrec.config import Settings as Settings
from kgrec.config import load_settings as load_settings
from kgrec.data.atomic import SplitDataset as SplitDataset
from kgrec.data.atomic import read_folder as read_folder
from kgrec.data.atomic import read_whole as read_whole
from kgrec.data.dataset import Column as Column
from kgrec.data.dataset import Dataset as Dataset
from kgrec.data.dataset import Facts as Facts
from kgrec.data.dataset import Interactions as Interactions
from kgrec.data.dataset import Links as Links
from kgrec.data.dataset import LinkType as LinkType
from kgrec.data.protocols import ProtocolConfig as ProtocolConfig
from kgrec.data.protocols import hold_out as hold_out
from kgrec.data.selection import Selection as Selection
from kgrec.data.sources import Source as Source
from kgrec.data.vocabulary import Vocabulary as Vocabulary
from kgrec.errors import ConfigError as ConfigError
from kgrec.errors import DataError as DataError
from kgrec.errors import GraphError as GraphError
from kgrec.errors import KGRecError as KGRecError
from kgrec.errors import ModelError as ModelError
from kgrec.errors import NotFoundError as NotFoundError
from kgrec.evaluation.evaluate import EvaluateConfig as EvaluateConfig
from kgrec.evaluation.evaluate import evaluate as evaluate
from kgrec.evaluation.measure import HeldOutQueries as HeldOutQueries
from kgrec.evaluation.measure import Measurement as Measurement
from kgrec.evaluation.measure import measure as measure
from kgrec.evaluation.result import EvaluationResult as EvaluationResult
from kgrec.explain.explainer import Explainer as Explainer
from kgrec.explain.records import Explanation as Explanation
from kgrec.export.hetero_files import load_hetero as load_hetero
from kgrec.export.hetero_files import save_hetero as save_hetero
from kgrec.export.networkx import to_networkx as to_networkx
from kgrec.export.parquet import write_parquet as write_parquet
from kgrec.export.pyg import to_hetero as to_hetero
from kgrec.graph import open_graph as open_graph
from kgrec.graph.store import GraphStore as GraphStore
from kgrec.graph.training_data import read_dataset as read_dataset
from kgrec.learning.agent import Agent as Agent
from kgrec.learning.agent import AgentConfig as AgentConfig
from kgrec.learning.agent import FitContext as FitContext
from kgrec.learning.fit_team import fit_team as fit_team
from kgrec.learning.team_config import TeamConfig as TeamConfig
from kgrec.model.histories import Histories as Histories
from kgrec.model.kernel import Kernel as Kernel
from kgrec.model.storage import load_team as load_team
from kgrec.model.storage import save_model as save_model
from kgrec.model.storage import save_team as save_team
from kgrec.model.team import Team as Team
from kgrec.retrieval.batch import recommend_all as recommend_all
from kgrec.retrieval.batch import write_recommended as write_recommended
from kgrec.retrieval.recommender import Recommender as Recommender
from kgrec.retrieval.recommender import RecommenderConfig as RecommenderConfig
from kgrec.retrieval.records import Recommendation as Recommendation
from kgrec.retrieval.records import RecommendationList as RecommendationList
from kgrec.schema import Schema as Schema
from kgrec.schema import load_schema as load_schema
from kgrec.stages.pipeline import Pipeline as Pipeline
from kgrec.stages.pipeline import load_pipeline as load_pipeline
from kgrec.stages.publish import publish as publish
from kgrec.stages.run import run_pipeline as run_pipeline
from kgrec.stages.train import TrainConfig as TrainConfig
from kgrec.version import __version__ as __version__

__all__ = [
    "Agent",
    "AgentConfig",
    "Column",
    "ConfigError",
    "DataError",
    "Dataset",
    "EvaluateConfig",
    "EvaluationResult",
    "Explainer",
    "Explanation",
    "Facts",
    "FitContext",
    "GraphError",
    "GraphStore",
    "HeldOutQueries",
    "Histories",
    "Interactions",
    "KGRecError",
    "Kernel",
    "LinkType",
    "Links",
    "Measurement",
    "ModelError",
    "NotFoundError",
    "Pipeline",
    "ProtocolConfig",
    "Recommendation",
    "RecommendationList",
    "Recommender",
    "RecommenderConfig",
    "Schema",
    "Selection",
    "Settings",
    "Source",
    "SplitDataset",
    "Team",
    "TeamConfig",
    "TrainConfig",
    "Vocabulary",
    "__version__",
    "evaluate",
    "fit_team",
    "hold_out",
    "load_hetero",
    "load_pipeline",
    "load_schema",
    "load_settings",
    "load_team",
    "measure",
    "open_graph",
    "publish",
    "read_dataset",
    "read_folder",
    "read_whole",
    "recommend_all",
    "run_pipeline",
    "save_hetero",
    "save_model",
    "save_team",
    "to_hetero",
    "to_networkx",
    "write_parquet",
    "write_recommended",
]
