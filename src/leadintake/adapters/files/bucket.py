"""The way to a bucket, as settings describe it: with limits, so that a store that hangs does not hang the service."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from obstore.exceptions import BaseError, UnknownConfigurationKeyError
from obstore.store import AzureStore, GCSStore, S3Store

Bucket = S3Store | GCSStore | AzureStore

KINDS: dict[str, tuple[Any, str]] = {
    "s3": (S3Store, "aws_"),
    "gs": (GCSStore, "google_"),
    "az": (AzureStore, "azure_"),
}
"""Each kind of store, and what the options for it begin with."""

OF_CONNECTIONS = frozenset({
    "allow_http", "allow_invalid_certificates", "connect_timeout", "default_content_type", "http1_only", "http2_only",
    "http2_keep_alive_interval", "http2_keep_alive_timeout", "http2_keep_alive_while_idle", "http2_max_frame_size",
    "pool_idle_timeout", "pool_max_idle_per_host", "proxy_ca_certificate", "proxy_excludes", "proxy_url",
    "randomize_addresses", "read_timeout", "root_certificate", "timeout", "user_agent",
})  # fmt: skip
"""Options, without their beginning, that obstore 0.12 wants apart; among the others they make it panic."""

OF_THE_URL = frozenset({"aws_bucket", "aws_bucket_name", "google_bucket", "google_bucket_name", "azure_container_name"})
"""Options that would send resumes to another bucket than the URL names."""

ENDPOINTS = ("aws_endpoint", "aws_endpoint_url", "aws_endpoint_url_s3", "azure_endpoint", "azure_storage_endpoint")

ENDPOINT = re.compile(r"https?://([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/[!-~]*)?", re.ASCII)
"""With anything else obstore 0.12 panics, at the latest when it sends a request."""

CONNECT_SECONDS = 3
"""Enough for a packet that is lost once: it is sent again after one second (RFC 6298 section 2)."""

ANSWER_SECONDS = 10
"""For a request and its answer, beside the time that the bytes of a file take."""

SLOWEST_BYTES_A_SECOND = 2**20
"""What a store has to manage: with less, somebody at a form waits more than ten seconds for a file of 10 MB."""

RETRIES = 2
RETRY_SECONDS = 10
"""Nothing is tried again later than that: somebody waits, and a proxy commonly gives up after 60 seconds."""


def connect(url: str, options: Mapping[str, str], max_bytes: int) -> tuple[Bucket, float]:
    """A bucket for files of at most `max_bytes`, and after how many seconds a call to it may be given up.

    Raises ValueError for what makes no sense. Options that obstore does not know are for other programs.
    """
    store, prefix = KINDS[url.partition(":")[0]]
    config, connection = _sorted(prefix, options)
    for name in sorted(config.keys() & ENDPOINTS):
        if not ENDPOINT.fullmatch(config[name]):
            raise ValueError(f"{name.upper()} is {config[name]!r}. Give an address such as https://s3.example.com.")
    if "allow_http" not in connection and any(config.get(name, "").startswith("http:") for name in ENDPOINTS):
        raise ValueError(f"its endpoint is plain http. Use https, or allow it with {prefix.upper()}ALLOW_HTTP=true.")
    answer_seconds = ANSWER_SECONDS + max_bytes / SLOWEST_BYTES_A_SECOND
    connection["connect_timeout"] = timedelta(seconds=CONNECT_SECONDS)
    connection["timeout"] = timedelta(seconds=answer_seconds)
    retries = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}
    while True:
        try:
            bucket: Bucket = store.from_url(url, config=config, client_options=connection, retry_config=retries)
        except UnknownConfigurationKeyError as error:
            del config[str(error).split("'")[1]]
        except (BaseError, ValueError) as error:
            line = str(error).splitlines()[0]
            raise ValueError(f"{line.partition(' error: ')[2] or line}.") from error
        else:
            return bucket, RETRY_SECONDS + answer_seconds


def _sorted(prefix: str, options: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options for this kind of store, and those for connections to it."""
    config: dict[str, Any] = {}
    connection: dict[str, Any] = {}
    if prefix == "aws_":
        config["aws_disable_bulk_delete"] = "true"  # Not every store has it, and one at a time is deleted here.
        if options.get("aws_request_checksum_calculation") != "when_required":
            config["aws_checksum_algorithm"] = "sha256"  # The store refuses what changed on its way.
    for name, text in options.items():
        if name.startswith(prefix) and name not in OF_THE_URL:
            short = name.removeprefix(prefix)
            if short in OF_CONNECTIONS:
                connection[short] = text
            else:
                config[name] = text
    return config, connection
