"""Settings: environment variables, typed; read inside tasks and commands, never at import."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from include.connect.errors import FixSettings

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Every setting, one environment variable each (`STITCHLINE_` + the name in capitals)."""

    model_config = SettingsConfigDict(env_prefix="STITCHLINE_", frozen=True, extra="ignore")

    home: Path = Field(ROOT / ".stitchline", description="folder for everything written locally")
    env: Literal["dev", "staging", "prod"] = Field("dev", description="outside prod, destinations must allow writes")
    sources: Annotated[tuple[str, ...], NoDecode] = Field((), description="comma-separated sources that get a DAG")
    syncs: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="comma-separated destinations that get a DAG, or '*' for all"
    )
    warehouse: Literal["duckdb", "bigquery"] = Field("duckdb", description="which engine holds the data")
    warehouse_wait_seconds: float = Field(600, description="how long to wait for a locked DuckDB file")
    landing: str | None = Field(
        None, description="landing root (folder or gs://bucket/prefix); default <home>/<env>/landing"
    )
    state_url: str | None = Field(None, description="SQLAlchemy URL of the state store; default SQLite in <home>/<env>")
    timezone: str = Field("UTC", description="IANA zone in which days begin and end")
    identity_space: str = Field("", description="prefix of every identifier where brands must stay apart")
    identity_overrides: Path | None = Field(
        None, description="file of what people decided about identity; default: overrides.yaml in the program"
    )
    identity_limits: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="comma-separated kind=number: how many identifiers of a kind one person may have"
    )
    identity_max_merged_share: float = Field(
        0.05, ge=0, le=1, description="share of people that may merge into others in one run; more stops unify"
    )
    identity_max_split_share: float = Field(
        0.05, ge=0, le=1, description="share of people that may be split off others in one run; more stops unify"
    )
    identity_max_growth: float = Field(
        3, ge=1, description="times as many identifiers as anybody had before, that a person may have"
    )
    sweep_schedule: str = Field(
        "@weekly", description="when keys are swept for records that vendors deleted silently: cron, or empty for never"
    )
    unify_every_seconds: int = Field(600, ge=0, description="unify starts at most this often")
    generations_kept: int = Field(3, ge=2, description="published generations kept for running readers")
    layer_from_events: int = Field(
        250_000,
        ge=0,
        description="activities from which unify works out touched people only; below, all is quicker",
    )
    bigquery_connection: str = Field("google_cloud_default", description="Airflow connection id of BigQuery")
    bigquery_project: str | None = Field(None, description="project of the datasets; default: the connection's")
    bigquery_location: str = Field("EU", description="BigQuery location of datasets and jobs")
    bigquery_max_bytes: int = Field(10**12, description="maximum_bytes_billed of one query job")
    bigquery_timeout_seconds: int = Field(3600, ge=60, description="longest a BigQuery job may run")
    bigquery_policy_tag: str | None = Field(
        None, description="policy tag (projects/../taxonomies/../policyTags/..) of columns that hold personal data"
    )
    collector: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="comma-separated: vendors whose webhooks are taken (sendgrid, mailchimp:eu), segment, hook, email",
    )
    collector_url: str | None = Field(None, description="the collector's public address, which some signatures cover")
    collector_spool: Path | None = Field(None, description="where requests are kept until landed; default <home>/<env>")
    collector_any_disk: bool = Field(False, description="let the spool be on tmpfs or a container's own layer")
    collector_roll_seconds: float = Field(240, gt=0, description="a file of the spool is landed when it is this old")
    collector_roll_bytes: int = Field(64 * 2**20, gt=0, description="or this large")
    collector_max_bytes: int = Field(5 * 2**20, gt=0, description="largest body of one request")
    collector_rate: float = Field(200, gt=0, description="requests per second of one caller, over a few seconds")
    collector_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        ("*",), description="web sites (https://www.example.com) whose pages may send to the collector, or * for any"
    )
    collector_redirect_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="hosts to which links in mails may lead; *.example.com for all below"
    )
    collector_load_seconds: int = Field(300, ge=1, description="how often ingest_collector loads what was landed")
    alert_connection: str = Field("slack_alerts", description="Airflow connection id of the Slack webhook")
    ui_url: str = Field("http://127.0.0.1:8080", description="where people open the Airflow UI, for links in messages")
    public_url: str | None = Field(
        None, description="the UI's lasting address, which links in vendors' records begin with; a change re-sends them"
    )
    embed_key: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="comma-separated secrets that sign embedded pages: the first signs, the others still open"
    )
    embed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="comma-separated sites (https://acme.zendesk.com) that may show embedded pages; none by default"
    )
    encryption_key: str | None = Field(None, description="Fernet key of the tokens in the state store")
    erasure_salt: SecretStr | None = Field(
        None, min_length=16, description="secret by which erased people are known again; must never change"
    )

    @field_validator(
        "sources",
        "syncs",
        "collector",
        "collector_origins",
        "collector_redirect_hosts",
        "identity_limits",
        "embed_key",
        "embed_hosts",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("public_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if not value:
            return None
        if not re.fullmatch(r"https?://[^\s?#]+", value):
            raise ValueError("write an address, such as https://airflow.example.com")
        return value.rstrip("/")

    @field_validator("embed_key")
    @classmethod
    def _long_enough(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < 32 for key in value):
            raise ValueError("each key must have at least 32 characters (openssl rand -hex 32)")
        return value

    @field_validator("embed_hosts")
    @classmethod
    def _sites(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # They become part of a header: nothing but addresses of sites may get there.
        if not all(re.fullmatch(r"https?://(\*\.)?[A-Za-z0-9.-]+(:\d+)?", site) for site in value):
            raise ValueError("write sites, such as https://acme.zendesk.com or https://*.example.com")
        return value

    @property
    def root(self) -> Path:
        """Local folder of this environment; two environments never share a file."""
        return self.home / self.env

    @property
    def landing_root(self) -> str:
        """Where landing files go: a local path or an fsspec URL, separate per environment."""
        if self.landing is None:
            return str(self.root / "landing")
        return f"{self.landing.rstrip('/')}/{self.env}"

    @property
    def spool(self) -> Path:
        """Where the collector keeps requests until they are landed, separate per environment."""
        return self.root / "spool" if self.collector_spool is None else self.collector_spool / self.env

    @property
    def dataset_prefix(self) -> str:
        """What BigQuery dataset names start with: nothing in prod, `dev_` or `staging_` elsewhere."""
        return "" if self.env == "prod" else f"{self.env}_"


def read_settings() -> Settings:
    """The settings of this process.

    Raises:
        FixSettings: a variable has a value its type does not allow; names the variable, not the value.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = f"STITCHLINE_{'_'.join(str(part) for part in first['loc']).upper()}"
        raise FixSettings(
            str(first["msg"]), where=name, fix="Correct the environment variable; .env.example lists them."
        ) from None
