# The HTTP API (`kgrec[serve]`: no package that trains), run by a user of its own, every package
# checked against its hash:
#   docker build --tag kgrec .
# To pin the base image too, give it by digest: --build-arg PYTHON=python:3.12-slim@sha256:...
ARG PYTHON=python:3.12-slim
FROM ${PYTHON}

ENV KGREC_HOME=/srv/kgrec \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

RUN groupadd --gid 10001 kgrec \
    && useradd --uid 10001 --gid kgrec --home-dir /srv/kgrec --create-home --shell /usr/sbin/nologin kgrec

WORKDIR /src
COPY requirements.lock ./
RUN pip install --require-hashes --only-binary :all: --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY graph_schema graph_schema
COPY pipelines pipelines
COPY kgrec kgrec
COPY examples/movies/catalog.csv examples/movies/catalog.csv
RUN pip install --no-deps --no-build-isolation --no-index . && python -m compileall -q /usr/local/lib

USER kgrec
WORKDIR /srv/kgrec
VOLUME /srv/kgrec
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
CMD ["kgrec", "serve", "--host", "0.0.0.0"]
