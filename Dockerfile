# One image for every Airflow process: the official image with this project's locked dependencies.
FROM apache/airflow:3.3.2-python3.12

WORKDIR /opt/stitchline
COPY --chown=airflow:0 pyproject.toml uv.lock README.md LICENSE ./
COPY --chown=airflow:0 include ./include
RUN pip install --no-cache-dir uv \
    && uv export --frozen --no-dev --extra production --extra aws --no-emit-project --output-file /tmp/requirements.txt \
    && uv pip install --no-cache --python "$(command -v python)" --requirement /tmp/requirements.txt \
    && uv pip install --no-cache --no-deps --python "$(command -v python)" --editable .
COPY --chown=airflow:0 dags ./dags
COPY --chown=airflow:0 plugins ./plugins
COPY --chown=airflow:0 great_expectations ./great_expectations

ENV AIRFLOW__CORE__DAGS_FOLDER=/opt/stitchline/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/stitchline/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    GX_ANALYTICS_ENABLED=false \
    PYTHONPATH=/opt/stitchline
