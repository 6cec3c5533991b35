"""Run Persona4Rec in production: reviews to personas to recommendations with reasons."""
