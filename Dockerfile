# The page and its API (docs/serve.md):
#
#     docker build -t trm .
#     docker run --rm -p 127.0.0.1:8000:8000 trm
#
# PIP_ARGS may name the index of torch's CPU build (docs/quickstart.md, "Install"), which makes the image gigabytes smaller:
# docker build --build-arg PIP_ARGS="--extra-index-url ..." -t trm .
FROM python:3.12-slim

# The C kernels are compiled for the processor that runs them, on first use. Without a compiler all works, but slower.
RUN apt-get update \
 && apt-get install --no-install-recommends --yes gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*

ARG PIP_ARGS=""
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY trm trm
RUN pip install --no-cache-dir -c constraints.txt ${PIP_ARGS} '.[serve,arc]' \
 && rm -rf /src

RUN useradd --create-home --shell /usr/sbin/nologin trm
USER trm
WORKDIR /home/trm

EXPOSE 8000
# For the port above; with another --port, give `docker run --health-cmd`.
HEALTHCHECK --start-period=30s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/api/tasks', timeout=5)"]
# Inside the container every address must be listened on; what is published is decided by `docker run -p`.
ENTRYPOINT ["trm", "serve", "--host", "0.0.0.0"]
