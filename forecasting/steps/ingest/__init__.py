"""Steps of the DAG `extract`: from the sources to the snapshot and the panel."""
