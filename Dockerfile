FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/fhir && /opt/fhir/bin/pip install --no-cache-dir .

FROM python:3.12-slim
# libcurl4 is what the packaged mongod needs when FHIR_MONGODB_URI is not set.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libcurl4 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/fhir fhir \
    && install -d -o fhir -g fhir -m 0700 /var/lib/fhir/data
COPY --from=build /opt/fhir /opt/fhir
ENV PATH=/opt/fhir/bin:$PATH FHIR_DATA=/var/lib/fhir/data PYTHONUNBUFFERED=1
USER fhir
WORKDIR /var/lib/fhir
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=5 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('FHIR_PORT', 8080)}/health\", timeout=4)"]
ENTRYPOINT ["fhir-server"]
CMD ["serve"]
