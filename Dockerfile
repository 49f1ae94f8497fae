# The scoring service; see docs/serve.md.
#
#   docker build -t rsfiqa .                                          # CPU, about 2 GB
#   docker build -t rsfiqa:cuda --build-arg TORCH=cu130 .             # GPU, about 7 GB
#   docker run -p 127.0.0.1:8000:8000 -e RSFIQA_TOKEN rsfiqa          # the token is yours to choose

FROM python:3.12-slim

# Wheels of torch: cpu, or a CUDA version of https://download.pytorch.org/whl, such as cu130.
ARG TORCH=cpu

RUN useradd --create-home --uid 10001 rsfiqa
WORKDIR /app

# first, since it changes least; torchvision too, whose wheel on PyPI is built for CUDA and cannot be
# imported beside a torch for the CPU
COPY requirements.lock ./
RUN pip install --no-cache-dir --index-url "https://download.pytorch.org/whl/${TORCH}" \
    $(grep -iE '^(torch|torchvision)==' requirements.lock)

COPY pyproject.toml README.md LICENSE ./
COPY rsfiqa ./rsfiqa
# the tested versions of what the extra needs
RUN pip install --no-cache-dir --constraint requirements.lock '.[app]' && rm -rf /app/*

USER rsfiqa
ENV HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
# Any address but loopback needs RSFIQA_TOKEN.
CMD ["rsfiqa", "serve", "--host", "0.0.0.0"]
