"""How the planner's page and the night's report look and speak: languages, shared parts of templates, colours."""
