"""The prepare stage: a data set as it lies on disk becomes a manifest."""

import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from rsfiqa import failures, manifest
from rsfiqa.datasets import agiqa3k, csv_table, demo, folder as bare_folder, livec
from rsfiqa.datasets.entry import Entry
from rsfiqa.errors import ImageError, InputError
from rsfiqa.files import Provenance, sha256_of, write_json
from rsfiqa.images import read_size
from rsfiqa.shards import failures_path, stats_path
from rsfiqa.stages import VERSIONS, PrepareOptions
