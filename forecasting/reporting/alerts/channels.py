"""Where alerts are told: e-mail by SMTP, and calls to webhooks (Slack, Teams, or plain JSON)."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from functools import partial
from typing import Any

import requests

from forecasting.core.config.sections import AlertSettings, EmailSettings, WebhookSettings
from forecasting.core.errors import StoreError


@dataclass(frozen=True)
class Notice:
    """One line of a message. what: opened, worse or mended."""

    what: str
    severity: str
    name: str
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.what} ({self.severity}) {self.name}, {self.subject}: {self.message}"


Send = Callable[[str, Sequence[Notice]], None]


def channels(settings: AlertSettings) -> dict[str, Send]:
    """Ways to tell, by name: `email`, and `webhook NAME`. Each raises StoreError, without any secret, on failure."""
    found: dict[str, Send] = {}
    if settings.email is not None:
        found["email"] = partial(_email, settings.email, settings.seconds)
    for name, hook in settings.webhooks.items():
        found[f"webhook {name}"] = partial(_call, hook, settings.seconds)
    return found


def _email(settings: EmailSettings, seconds: float, title: str, notices: Sequence[Notice]) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = title, settings.sender, ", ".join(settings.to)
    message.set_content("\n".join(map(str, notices)))
    _deliver(settings, seconds, message)


def mail_page(settings: AlertSettings, to: Sequence[str], title: str, text: str, page: tuple[str, str]) -> None:
    """Send a text with an HTML page, (file name, content), by the server of `email`. Raises StoreError on failure."""
    if settings.email is None:
        raise StoreError("There is no e-mail server to send it by: see [alerts.email].")
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = title, settings.email.sender, ", ".join(to)
    message.set_content(text)
    message.add_attachment(page[1], subtype="html", filename=page[0])
    _deliver(settings.email, settings.seconds, message)


def _deliver(settings: EmailSettings, seconds: float, message: EmailMessage) -> None:
    try:
        with smtplib.SMTP(settings.host, settings.port, timeout=seconds) as server:
            if settings.starttls:
                server.starttls(context=ssl.create_default_context())
            if settings.user is not None:
                server.login(settings.user, settings.password.get_secret_value() if settings.password else "")
            server.send_message(message)
    except (smtplib.SMTPException, OSError) as error:
        raise StoreError(
            f"{settings.host}:{settings.port} sent no e-mail: {type(error).__name__}: {error}. See [alerts.email]."
        ) from None


def _call(settings: WebhookSettings, seconds: float, title: str, notices: Sequence[Notice]) -> None:
    content = {"slack": _slack, "teams": _teams, "json": _json}[settings.format](title, notices)
    try:
        answer = requests.post(settings.url.get_secret_value(), json=content, timeout=seconds)
    except requests.RequestException as error:  # its text holds the address, which is a secret
        raise StoreError(f"The webhook cannot be called: {type(error).__name__}. See [alerts.webhooks].") from None
    if not answer.ok:
        raise StoreError(f"The webhook answered {answer.status_code} {answer.reason}. See [alerts.webhooks].")


def _slack(title: str, notices: Sequence[Notice]) -> dict[str, Any]:
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks: `text`, with &, < and > escaped."""
    lines = [str(one).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for one in notices]
    return {"text": "\n".join([f"*{title}*", *(f"• {line}" for line in lines)])}


def _teams(title: str, notices: Sequence[Notice]) -> dict[str, Any]:
    """An adaptive card, as the Workflows webhook of Teams wants it."""
    blocks = [{"type": "TextBlock", "text": title, "weight": "Bolder", "wrap": True}]
    blocks += [{"type": "TextBlock", "text": str(one), "wrap": True} for one in notices]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "body": blocks,
    }  # fmt: skip
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }


def _json(title: str, notices: Sequence[Notice]) -> dict[str, Any]:
    return {"title": title, "alerts": [asdict(one) for one in notices]}
