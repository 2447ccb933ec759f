# One image for web, workers, clock and migrate. Mirrors: --build-arg BASE=… --build-arg PIP_INDEX_URL=…
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG PIP_INDEX_URL=https://pypi.org/simple
ENV PIP_INDEX_URL=${PIP_INDEX_URL} PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/huitou
COPY requirements.txt /tmp/requirements.txt
RUN /opt/huitou/bin/pip install --require-hashes -r /tmp/requirements.txt

FROM ${BASE}
ENV PATH=/opt/huitou/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 PORT=8000 HUITOU_HOME=/data LOG_FORMAT=json
RUN useradd --system --uid 10001 --no-create-home huitou && install -d -o huitou -g huitou /data /app
COPY --from=build /opt/huitou /opt/huitou
WORKDIR /app
COPY wsgi.py ./
COPY assets ./assets
COPY domain ./domain
COPY handlers ./handlers
COPY bot ./bot
RUN python -m compileall -q bot domain handlers wsgi.py
USER huitou
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["python", "-m", "bot", "web"]
