"""What Airflow's api-server makes of our plugin, without the rest of it: `airflow_server.py PORT`.

Airflow's own functions mount the pages, sign people in and log requests; its API and UI take it 10 s more to start.
"""

from __future__ import annotations

import sys

import uvicorn
from airflow.api_fastapi.app import init_access_logging, init_auth_manager, init_plugins
from airflow.api_fastapi.auth.middlewares.refresh_token import JWTRefreshMiddleware
from airflow.models.revoked_token import RevokedToken
from airflow.settings import engine
from fastapi import FastAPI

# The one table that signing in asks; all of them take Airflow seconds to make.
RevokedToken.__table__.create(engine, checkfirst=True)
app = FastAPI()
init_plugins(app)
init_auth_manager(app)
app.add_middleware(JWTRefreshMiddleware)
init_access_logging(app)
uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="warning")
