"""C2PA content credentials, by the package c2pa-python where it is installed.

Nothing is fetched: neither credentials that lie elsewhere, nor the state of a certificate. No list
of trusted certificates is used.
"""
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import BinaryIO

from utils.origin.labels import GENERATED, in_words
from utils.origin.statement import CREDENTIALS, clean, statement

# of libav's formats, those that the package reads
MIME_TYPES = {"WAV": "audio/wav", "FLAC": "audio/flac", "MPEG audio": "audio/mpeg",
              "MP4": "audio/mp4", "AVI": "video/avi"}
SETTINGS = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
MARK = b"jumb"              # of the box that holds credentials (ISO 19566-5)
SIGNED = "claimSignature.validated"
SAME_SOUND = re.compile(r"assertion\.(data|bmff|boxes)Hash\.match")
OTHER_SOUND = re.compile(r"assertion\.(data|bmff|boxes)Hash\.mismatch")
# more bytes than the credentials are left out of the sum, and may have been changed; in MP4 that
# is usual (boxes such as "free"), and is no sign
PARTIAL = re.compile(r"assertion\.(data|boxes)Hash\.additionalExclusionsPresent")
UNTRUSTED = "signingCredential.untrusted"       # always, without a list
NOT_INSTALLED = "not looked for: the package c2pa-python is not installed"
UNCHANGED = ("that the file is unchanged since the holder of this certificate signed it, not that "
             "the certificate belongs to that name (no list of trusted ones is used), nor that "
             "what it says is true")
UNBOUND = "that the holder of this certificate signed it; whether it is of this sound is not known"
CHANGED = "nothing of this sound: the file was changed after it was signed"
BROKEN = "nothing: the signature does not hold"
NOTHING = "nothing"


def of_credentials(file: BinaryIO, form: str, marked: bool) -> Iterator[dict]:
    """The statement of a file's credentials, if it has some.

    `form`: as in `AudioInfo.format`. `marked`: whether MARK was seen in the file.
    """
    if form not in MIME_TYPES:
        return
    try:
        import c2pa             # 23 MB of native code: for files that may have credentials
    except (ImportError, OSError):
        yield statement(CREDENTIALS, NOT_INSTALLED, NOTHING, signature=None, sound=None)
        return
    file.seek(0)
    try:
        reader = c2pa.Reader.try_create(MIME_TYPES[form], file, context=_context())
        if reader is None:
            return
        with reader:
            store = json.loads(reader.json())
    except c2pa.C2paError as error:
        if marked:
            yield statement(CREDENTIALS, f"they cannot be read: {error}", NOTHING,
                            signature=None, sound=None)
        return
    yield _told(store)


@lru_cache
def _context():
    import c2pa
    return c2pa.Context(settings=c2pa.Settings.from_dict(SETTINGS))


def _told(store: dict) -> dict:
    manifests = store.get("manifests") or {}
    manifest = manifests.get(store.get("active_manifest")) or {}
    results = (store.get("validation_results") or {}).get("activeManifest") or {}
    passed, partial, failed = (
        [entry.get("code", "") for entry in results.get(kind) or []]
        for kind in ("success", "informational", "failure"))
    partial = list(filter(PARTIAL.fullmatch, partial))
    failed = [code for code in failed if code != UNTRUSTED]
    changed = any(map(OTHER_SOUND.fullmatch, failed))
    signed = SIGNED in passed and all(map(OTHER_SOUND.fullmatch, failed))
    same = not partial and any(map(SAME_SOUND.fullmatch, passed))
    sound = False if changed else True if same else None
    by = _signer(manifest.get("signature_info") or {})
    generator = _generator(manifest)
    types = _source_types(manifests)
    says = f"signed by {by}, made with {generator}"
    if types:
        says += f": {', '.join(map(in_words, types))}"
    if failed or partial:
        says += f" [{', '.join(failed + partial)}]"
    proves = BROKEN if not signed else CHANGED if changed else UNCHANGED if sound else UNBOUND
    return statement(CREDENTIALS, says, proves, signature=signed, sound=sound, signer=by,
                     generator=generator, source_types=types,
                     generated=True if set(types) & set(GENERATED) else None)


def _signer(signature: dict) -> str:
    names = dict.fromkeys(filter(None, (signature.get("issuer"), signature.get("common_name"))))
    return clean(", ".join(names) or "an unnamed certificate")


def _generator(manifest: dict) -> str:
    for info in manifest.get("claim_generator_info") or []:
        return clean(f"{info.get('name', '')} {info.get('version') or ''}")
    return clean(manifest.get("claim_generator") or "an unnamed program")


def _source_types(manifests: dict) -> list[str]:
    """The digital source types of all actions, also of what the recording was made from."""
    found = []
    for manifest in manifests.values():
        for assertion in manifest.get("assertions") or []:
            if str(assertion.get("label")).startswith("c2pa.actions"):
                actions = (assertion.get("data") or {}).get("actions") or []
                found += [action.get("digitalSourceType") for action in actions]
    names = [str(url).rstrip("/").rpartition("/")[2] for url in found if url]
    return [clean(name) for name in dict.fromkeys(names)]
