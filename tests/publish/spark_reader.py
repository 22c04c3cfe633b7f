"""A program for `spark-submit`: read published Parquet files, and write their rows as a pickle.

It runs in the Python that Spark finds, without this project: `spark_reader.py TARGET OUTPUT`.
"""

import json
import pickle
import sys
from pathlib import Path

from pyspark.sql import SparkSession


def main(target: Path, output: Path) -> None:
    """Read each table below a target as the page `engines` shows."""
    spark = SparkSession.builder.getOrCreate()
    spark.conf.set("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
    found = {}
    for table in sorted(target.iterdir()):
        listed = json.loads((table / "_manifest.json").read_text())["partitions"]
        paths = [str(table / name) for name in listed]
        frame = spark.read.option("basePath", str(table)).parquet(*paths) if paths else None
        found[table.name] = [] if frame is None else [row.asDict() for row in frame.collect()]
    output.write_bytes(pickle.dumps(found))
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
