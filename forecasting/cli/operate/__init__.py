"""Commands of operators: backup, migrate, grants, doctor, rollback, trace."""
