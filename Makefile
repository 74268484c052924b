# Thin on purpose: each target is one command. Needs make and Python 3.11 to 3.13; uv is fetched if there is none.
UV := $(shell command -v uv 2>/dev/null || echo .venv-tools/bin/uv)
RUN := .venv/bin
# Without compiled modules every process would compile Airflow anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo up test lint bench

install: $(if $(filter .venv-tools/%,$(UV)),.venv-tools/bin/uv)
	$(UV) sync --frozen --all-extras

.venv-tools/bin/uv:
	python3 -m venv .venv-tools
	.venv-tools/bin/pip install --quiet uv

demo: install
	$(RUN)/stitchline demo $(ARGS)

up: install
	$(RUN)/stitchline up $(ARGS)

test: install
	$(RUN)/pytest -n 2 --dist loadfile $(ARGS)

lint: install
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/sqlfluff lint --processes 2 include/warehouse include/segments

bench: install
	$(RUN)/python -m benchmarks $(ARGS)
