"""Steps of the DAGs `train` and `approve`: challenger, judgement, promotion, shadows."""
