"""Entra's errors: code, OAuth error, HTTP status, suberror and text."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    error: str
    text: str
    status: int = 400
    suberror: str | None = None
    claims: str | None = None


_CLAIMS = ('{"access_token":{"polids":{"essential":true,"Values":'
           '["5ce770ea-8690-4747-aa73-c5b3cd509cd4"]}}}')
_MFA = ("Due to a configuration change made by your administrator, or because "
        "you moved to a new location, you must {} to access '{{resource}}'.")
_PENDING = "OAuth 2.0 device flow error. {} "


def _mfa(what: str) -> Row:
    return Row("interaction_required", _MFA.format(what),
               suberror="basic_action", claims=_CLAIMS)


def _blocked(text: str) -> Row:
    return Row("interaction_required", text, suberror="message_only")


def _consent(text: str) -> Row:
    return Row("invalid_grant", text, suberror="consent_required")


def _transient(text: str, status: int = 503) -> Row:
    return Row("temporarily_unavailable", text, status)


ERRORS: dict[int, Row] = {
    # The grant is spent, revoked or malformed.
    70000: Row("invalid_grant", "Provided grant is invalid or malformed."),
    70001: Row("unauthorized_client", "The application is disabled."),
    70008: Row("invalid_grant", "The provided authorization code or refresh "
               "token has expired due to inactivity. Send a new interactive "
               "authorization request for this user and resource."),
    700082: Row("invalid_grant", "The refresh token has expired due to "
                "inactivity. The token was issued on {issued} and was inactive "
                "for 90.00:00:00."),
    700084: Row("invalid_grant", "The refresh token was issued to a single "
                "page app (SPA), and therefore has a fixed, limited lifetime "
                "of 1.00:00:00, which cannot be extended. It is now expired "
                "and a new sign in request must be sent by the SPA to the sign "
                "in page. The token was issued on {issued}."),
    70043: Row("invalid_grant", "The refresh token has expired or is invalid "
               "due to sign-in frequency checks by conditional access. The "
               "token was issued on {issued} and the maximum allowed lifetime "
               "for this request is 36000.", suberror="token_expired"),
    50173: Row("invalid_grant", "The provided grant has expired due to it "
               "being revoked, a fresh auth token is needed. The user might "
               "have changed or reset their password. The grant was issued on "
               "'{issued}' and the TokensValidFrom date (before which tokens "
               "are not valid) for this user is '{now}'."),
    54005: Row("invalid_grant", "OAuth2 Authorization code was already "
               "redeemed, please retry with a new valid code or use an "
               "existing refresh token."),
    50148: Row("invalid_grant", "The code_verifier does not match the "
               "code_challenge supplied in the authorization request."),
    # A person is needed.
    50072: _mfa("enroll in multi-factor authentication"),
    50074: _mfa("use strong authentication"),
    50076: _mfa("use multi-factor authentication"),
    50078: _mfa("refresh your multi-factor authentication"),
    50079: _mfa("enroll in multi-factor authentication"),
    50158: _mfa("satisfy an external security challenge"),
    # Conditional Access.
    53000: _blocked("Device is not in required device state: {policy}."),
    53001: _blocked("Device is not in required device state: domain_joined. "
                    "Conditional Access policy requires a domain joined "
                    "device, and the device is not domain joined."),
    53002: _blocked("Application is not an approved app."),
    53003: _blocked("Access has been blocked by Conditional Access policies. "
                    "The access policy does not allow token issuance."),
    53004: _blocked("User needs to complete multi-factor authentication "
                    "registration process before accessing this content."),
    53011: _blocked("User blocked due to risk on home tenant."),
    530032: _blocked("Access has been blocked by the security policy of your "
                     "organization."),
    530035: _blocked("Access has been blocked by security defaults. Access is "
                     "blocked due to the request being deemed unsafe by "
                     "security defaults policies."),
    # Consent.
    65001: _consent("The user or administrator has not consented to use the "
                    "application with ID '{app}' named 'Outpost'. Send an "
                    "interactive authorization request for this user and "
                    "resource."),
    65004: _consent("User declined to consent to access the app."),
    90094: _consent("An administrator of {tenant} has set a policy that "
                    "prevents you from granting Outpost the permissions it is "
                    "requesting. Contact an administrator of {tenant}, who can "
                    "grant permissions to this app on your behalf."),
    650052: _consent("The app is trying to access a service that your "
                     "organization '{tenant}' lacks a service principal for."),
    650056: _consent("Misconfigured application."),
    650057: _consent("Invalid resource. The client has requested access to a "
                     "resource which is not listed in the requested "
                     "permissions in the client's application registration."),
    # The client and its credential.
    7000215: Row("invalid_client", "Invalid client secret provided. Ensure the "
                 "secret being sent in the request is the client secret value, "
                 "not the client secret ID, for a secret added to app '{app}'.",
                 401),
    7000222: Row("invalid_client", "The provided client secret keys for app "
                 "'{app}' are expired. Visit the Azure portal to create new "
                 "keys for your app: https://aka.ms/NewClientSecret, or "
                 "consider using certificate credentials for added security: "
                 "https://aka.ms/certCreds.", 401),
    7000218: Row("invalid_client", "The request body must contain the "
                 "following parameter: 'client_assertion' or 'client_secret'.",
                 401),
    70002: Row("invalid_client", "The client does not exist or is not enabled "
               "for consumers, or the request body must contain the following "
               "parameter: 'client_assertion' or 'client_secret'.", 401),
    700025: Row("invalid_client", "Client is public so neither "
                "'client_assertion' nor 'client_secret' should be presented.",
                401),
    7000112: Row("unauthorized_client", "Application '{app}'(Outpost) is "
                 "disabled."),
    700016: Row("unauthorized_client", "Application with identifier '{app}' "
                "was not found in the directory '{tenant}'. This can happen if "
                "the application has not been installed by the administrator "
                "of the tenant or consented to by any user in the tenant. You "
                "may have sent your authentication request to the wrong "
                "tenant."),
    700021: Row("invalid_client", "Client assertion application identifier "
                "doesn't match 'client_id' parameter.", 401),
    700023: Row("invalid_client", "Client assertion audience claim does not "
                "match Realm issuer.", 401),
    700024: Row("invalid_client", "Client assertion is not within its valid "
                "time range. Current time: {now}.", 401),
    700027: Row("invalid_client", "Client assertion contains an invalid "
                "signature. [Reason - {reason}]", 401),
    700030: Row("invalid_client", "Invalid certificate - subject name in "
                "certificate is not authorized.", 401),
    50012: Row("invalid_client", "Authentication failed.", 401),
    50013: Row("invalid_grant", "Assertion failed signature validation."),
    70021: Row("invalid_request", "No matching federated identity record found "
               "for presented assertion. Assertion Issuer: '{issuer}'. "
               "Assertion Subject: '{subject}'. Assertion Audience: "
               "'{audience}'."),
    700211: Row("invalid_request", "No matching federated identity record "
                "found for presented assertion issuer '{issuer}'."),
    700212: Row("invalid_request", "No matching federated identity record "
                "found for presented assertion audience '{audience}'."),
    700213: Row("invalid_request", "No matching federated identity record "
                "found for presented assertion subject '{subject}'."),
    # The tenant and the user.
    90002: Row("invalid_request", "Tenant '{tenant}' not found. Check to make "
               "sure you have the correct tenant ID and are signing into the "
               "correct cloud. Check with your subscription administrator, "
               "this may happen if there are no active subscriptions for the "
               "tenant."),
    9001023: Row("invalid_request", "The grant type is not supported over the "
                 "/common or /consumers endpoints. Please use the "
                 "/organizations or tenant-specific endpoint."),
    50034: Row("invalid_grant", "The user account does not exist in the "
               "{tenant} directory. To sign into this application, the account "
               "must be added to the directory."),
    50020: Row("invalid_grant", "User account from identity provider "
               "'live.com' does not exist in tenant '{tenant}' and cannot "
               "access the application '{app}'(Outpost) in that tenant."),
    50053: Row("invalid_grant", "The account is locked, you've tried to sign "
               "in too many times with an incorrect user ID or password."),
    50055: Row("invalid_grant", "The password is expired."),
    50057: Row("invalid_grant", "The user account is disabled."),
    50126: Row("invalid_grant", "Error validating credentials due to invalid "
               "username or password."),
    50105: Row("invalid_grant", "Your administrator has configured the "
               "application Outpost ('{app}') to block users unless they are "
               "specifically granted ('assigned') access to the application."),
    # The request.
    900144: Row("invalid_request", "The request body must contain the following"
                " parameter: '{parameter}'."),
    90014: Row("invalid_request", "The required field '{parameter}' is missing "
               "from the credential. Ensure that you have all the necessary "
               "parameters for the login request."),
    9002313: Row("invalid_request", "Invalid request. Request is malformed or "
                 "invalid."),
    70011: Row("invalid_scope", "The provided request must include a 'scope' "
               "input parameter. The provided value for the input parameter "
               "'scope' is not valid. The scope {scope} is not valid."),
    28000: Row("invalid_request", "Provided value for the input parameter scope"
               " is not valid because it contains more than one resource. Scope"
               " {scope} is not valid."),
    70003: Row("unsupported_grant_type", "The app requested an unsupported "
               "grant type '{grant}'."),
    500011: Row("invalid_resource", "The resource principal named {resource} "
                "was not found in the tenant named {tenant}."),
    500113: Row("invalid_request", "No reply address is registered for the "
                "application."),
    50011: Row("invalid_request", "The redirect URI '{redirect}' specified in "
               "the request does not match the redirect URIs configured for "
               "the application '{app}'."),
    901002: Row("invalid_request", "The 'resource' request parameter isn't "
                "supported."),
    1002012: Row("invalid_scope", "The provided value for scope {scope} is not "
                 "valid. Client credential flows must have a scope value with "
                 "/.default suffixed to the resource identifier (application "
                 "ID URI)."),
    7000024: Row("unauthorized_client", "The grant type is not enabled for "
                 "this application."),
    # Device flow.
    70016: Row("authorization_pending",
               _PENDING.format("Authorization is pending. Continue polling.")),
    70017: Row("authorization_declined",
               _PENDING.format("The user declined the authorization.")),
    70018: Row("bad_verification_code", "Bad verification code."),
    70019: Row("expired_token", "Verification code expired."),
    70020: Row("expired_token", "The provided value for the input parameter "
               "'device_code' is not valid. This device code has expired."),
    # Overload and faults of the service.
    50196: Row("invalid_grant", "The server terminated an operation because it "
               "encountered a client request loop. Please contact your app "
               "vendor."),
    90055: Row("temporarily_unavailable", "The server has rejected the request "
               "because there are too many tenant requests. Retry after a "
               "while.", 429),
    90033: _transient("A transient error has occurred. Please try again."),
    90006: _transient("External server error. Retry the request."),
    90012: _transient("The request has timed out."),
    90024: _transient("A transient error has occurred. Please try again."),
    90090: _transient("Timed out calling a dependency."),
    50033: _transient("A transient error has occurred. Please try again."),
    50087: _transient("A transient error has occurred during sign-in. Please "
                      "try again."),
    50088: _transient("Limit on telecom MFA calls reached. Please try again in "
                      "a few minutes."),
    80005: _transient("Authentication Agent encountered an error communicating "
                      "with Active Directory.", 400),
}


class Refusal(Exception):
    """An AADSTS error; `fields` fill the blanks in its text, `error` replaces
    its OAuth name, and further codes share its answer."""

    def __init__(self, *codes: int, error: str | None = None,
                 **fields: str) -> None:
        super().__init__(codes)
        self.codes, self.error, self.fields = codes, error, fields


# Names of the standard under which Microsoft's numbers may come.
RFC_8628 = {"slow_down": 70016, "access_denied": 70017}


def find(word: str) -> tuple[list[int], str | None] | None:
    """Codes and error name of ``AADSTS70043``, ``AADSTS70002,70008``, or an
    OAuth name such as ``slow_down``; None for a word that is none of these."""
    if word in RFC_8628:
        return [RFC_8628[word]], word
    for code, row in ERRORS.items():
        if row.error == word:
            return [code], None
    numbers = word.upper().replace("AADSTS", "").split(",")
    if all(n.isdigit() and int(n) in ERRORS for n in numbers):
        return [int(n) for n in numbers], None
    return None
