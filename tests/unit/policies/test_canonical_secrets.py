"""Secrets in the places where they usually stand, and what only looks like one (security.md 84)."""

from __future__ import annotations

import base64
import random

import pytest

from policies.masking import mask_text
from policies.secrets import leaks_in, scan
from policies.secrets.patterns import looks_random

pytestmark = pytest.mark.law

_FORTY = "wJalrXUtnFEMI" + "/K7MDENG/bPxRfiCY" + "9Zq3LmT2Vs"
_HEX = "9f86d081884c7d65" + "9a2feaa0c55ad015"
_PASS = "Tr0ub4dor" + "&3x"
_PAIR = base64.b64encode(f"deploy:{_PASS}".encode()).decode()

KEYS = {
    "terraform": f'provider "aws" {{\n  secret_key = "{_FORTY}"\n}}\n',
    "camel case": f"secretKey: {_FORTY}\n",
    "json": f'{{"secretKey": "{_FORTY}", "a": 1}}\n',
    "xml": f"<SecretKey>{_FORTY}</SecretKey>\n",
    "rails": f"secret_key_base: {_HEX * 2}\n",
    "django": f"SECRET_KEY = '{_FORTY}'\n",
    "subscript": f'os.environ["SECRET_KEY"] = "{_FORTY}"\n',
    "setdefault": f"os.environ.setdefault('SECRET_KEY', '{_FORTY}')\n",
    "aws in capitals": f"AWS_SECRET_ACCESS_KEY={_FORTY}\n",
    "access key": f"secret_access_key = {_FORTY}\n",
    "encryption key": f'encryption_key: "{_HEX}"\n',
    "signing key": f"SIGNING_KEY={_HEX}\n",
    "hex api key": f'api_key = "{_HEX}"\n',
    "token value": f"tokenValue: '{_HEX}'\n",
    "npmrc auth": f"_auth={_PAIR}\n",
    "npmrc auth of a registry": f"//registry.example.org/:_auth = {_PAIR}\n",
    "npmrc password": f"//registry.example.org/:_password={base64.b64encode(_PASS.encode()).decode()}\n",
    "docker config": f'{{"auths": {{"r.example.org": {{"auth": "{_PAIR}"}}}}}}\n',
    "curl -u": f"curl -s -u deploy:{_PASS} https://api.example.org/v1\n",
    "curl --user": f'curl --request POST --user "deploy:{_PASS}" https://api.example.org\n',
    "curl -u=": f"RUN curl -fsSL -u=deploy:{_PASS} https://x.example.org\n",
    "jdbc": f"url=jdbc:postgresql://db.example.org/app?user=app&password={_PASS.replace('&', '-')}\n",
    "jdbc sqlserver": f"jdbc:sqlserver://db.example.org:1433;database=app;user=sa;password={_PASS};encrypt=true\n",
    "jdbc oracle": f"jdbc:oracle:thin:scott/{_PASS}@db.example.org:1521:orcl\n",
    "ado": f"Server=db.example.org;Database=app;User Id=sa;Password={_PASS};\n",
    "odbc": f"Driver=x;Server=db;Uid=sa;Pwd={_PASS};\n",
    "docker env": f"FROM x\nENV DB_PASSWORD={_PASS}\n",
    "docker env, old form": f"FROM x\nENV DB_PASSWORD {_PASS}\n",
    "docker env, second": f"ENV A=1 DB_PASSWORD={_PASS}\n",
    "docker env, quoted": f'ENV DB_PASSWORD="{_PASS}"\n',
    "docker env, short": "ENV DB_PASSWORD=hunter2\n",
    "docker arg": f"ARG MYSQL_ROOT_PASSWORD={_PASS}\n",
    "shell": f"export PGPASSWORD={_PASS}\n",
    "env file": f"SMTP_PASS={_PASS}\n",
    "compose list": f"environment:\n  - DB_PASSWORD={_PASS}\n",
    "a good password with a bad word": "ENV DB_PASSWORD=SuperSecret!2024\n",
    "option": f"mytool --password={_PASS} --x\n",
    "sshpass": f"sshpass -p '{_PASS}' ssh a@b\n",
}

GUESSED = {
    "properties": f"spring.datasource.password={_PASS}\n",
    "yaml": f"password: {_PASS}\n",
    "compose mapping": f"  DB_PASSWORD: {_PASS}\n",
    "a constant": 'TEST_PASSWORD = "Test1234x"\n',
    "a word": "DB_PASSWORD=correcthorsebattery\n",
}

HARMLESS = {
    "npm lock": '"integrity": "sha512-' + "Ab1/x9Qz" * 10 + '=="\n',
    "cargo lock": f'checksum = "{_HEX * 2}"\n',
    "yarn lock": f'resolved "https://registry.example.org/a/-/a-1.0.0.tgz#{_HEX}{_HEX[:8]}"\n',
    "go sum": "example.org/a v1.0.0 h1:Ab1x9Qz" + "Cd2y8Rw" * 5 + "=\n",
    "pip hash": f"a==1.0 --hash=sha256:{_HEX * 2}\n",
    "git commit": f"rev: {_HEX}{_HEX[:8]}\n",
    "docker digest": f"image: x@sha256:{_HEX * 2}\n",
    "uuid": "id: 550e8400-e29b-41d4-a716-446655440000\nrequest_id=7d444840-9dc0-11d1-b245-5ffdce74fad2\n",
    "env reference": "ENV DB_PASSWORD=${DB_PASSWORD}\nexport PGPASSWORD=$PASS\nsecretKey: ${{ secrets.KEY }}\n",
    "shell substitution": "export DB_PASSWORD=$(cat /run/secrets/db)\n",
    "windows reference": "set DB_PASSWORD=%DB_PASSWORD%\n",
    "placeholders": 'ENV DB_PASSWORD=changeme\nA_PASSWORD=your-password-here\nsecret_key = "<secret>"\nPASSWORD=xxxx\n',
    "code": "password = get_password(user)\nsecretKey: string;\nself.secret_key = settings.SECRET_KEY\n",
    "typed code": "def login(password: str, token: str = ''):\n    pass\n",
    "curl documentation": "curl -u user:password https://x\ncurl -u USERNAME:$TOKEN x\ncurl -u {user}:{pass} x\n",
    "curl variables": 'curl -u "$USER:$PASS" https://x\ncurl -u "${U}:${P}" https://x\ncurl -u user: https://x\n',
    "curl user agent": "curl -A agent:1.0/x https://example.org:8080/a\n",
    "npmrc reference": "_auth=${NPM_AUTH}\n//r/:_password=${P}\n//r/:_authToken=${NPM_TOKEN}\n",
    "python attribute": "_auth = authenticator\nself._auth = BasicAuthHandler2\n",
    "json auth": '{"auth": "required", "auth": "oauth2provider"}\n',
    "jdbc without": "jdbc:postgresql://localhost/app\njdbc:mysql://db/app?user=app&password=${PASS}\n",
    "jdbc placeholder": "jdbc:mysql://db/app?user=app&password=password\njdbc:x://h/d?password=<password>\n",
    "k8s": "secretKeyRef:\n  name: db-credentials-2024\n  key: password\nsecretName: web-tls-2024-cert\n",
    "file names": "DB_PASSWORD_FILE=/run/secrets/db\ntoken_url: https://example.org/oauth2/v1/token\n",
    "sequence": 'api_key = "0123456789abcdef0123456789abcdef"\n',
    "one letter": 'api_key = "' + "a" * 32 + '"\nsecret_key = "' + "deadbeef" * 4 + '"\n',
    "option documentation": "mytool --password PASSWORD\nmytool --password=<password>\nmytool --password-stdin\n",
    "markdown": "Set `DB_PASSWORD` to the password.\n| `secretKey` | the key | none |\n",
    "public key": "public_key: MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA2024\n",
}


def rules(text: str, *, certain: bool) -> set[str]:
    return {leak.rule for leak in scan(text.encode()).new if leak.certain is certain}


@pytest.mark.parametrize("name", KEYS)
def test_guard_11_a_secret_blocks_where_it_usually_stands(name):
    assert rules(KEYS[name], certain=True)
    assert leaks_in(KEYS[name])


@pytest.mark.parametrize("name", KEYS)
def test_guard_11_it_is_taken_out_of_what_is_shown(name):
    shown = mask_text(f"somebody wrote:\n{KEYS[name]}")
    assert "[redacted: " in shown
    assert not any(secret in shown for secret in (_FORTY, _HEX, _PASS, _PAIR, "hunter2"))


@pytest.mark.parametrize("name", GUESSED)
def test_guard_11_a_password_that_may_be_one_is_a_warning(name):
    assert not rules(GUESSED[name], certain=True)
    assert rules(GUESSED[name], certain=False)
    assert not leaks_in(GUESSED[name])


@pytest.mark.parametrize("name", HARMLESS)
def test_guard_11_what_only_looks_like_a_secret_does_not_block(name):
    assert rules(HARMLESS[name], certain=True) == set()


@pytest.mark.parametrize("digits", [32, 40, 64])
def test_guard_11_random_hex_keys_look_random(digits):
    """The limits are set so that fewer than 1 in 10,000 fail; the sample is large enough to see 1 in 5,000."""
    source = random.Random(8)
    missed = sum(not looks_random(f"{source.getrandbits(4 * digits):0{digits}x}".encode()) for _ in range(60_000))
    assert missed < 6


@pytest.mark.parametrize(
    "text", ["deadbeef" * 4, "0" * 31 + "1", "0f1e2d3c" * 8, "abcdefabcdefabcdefabcdefabcdefab", "1" * 16 + "a" * 16]
)
def test_guard_11_hex_that_repeats_itself_does_not(text):
    assert not looks_random(text.encode())
