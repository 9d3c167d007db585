"""Marks that a file can carry: content credentials, signed by a certificate made here, and tags."""
import datetime
import io
import json
import struct

import c2pa
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SIGNER, GENERATOR = "Speech Factory", "Test Voice"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
AIGC = {"Label": "1", "ContentProducer": "Speech Factory", "ProduceID": "7", "ReservedCode1": "",
        "ContentPropagator": "", "PropagateID": "", "ReservedCode2": ""}
XMP = ('<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
       '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description {}>{}'
       '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>')


def signed(content: bytes, mime: str, source_type: str = "trainedAlgorithmicMedia") -> bytes:
    """A file with content credentials in it, whose sound was created as `source_type` says."""
    actions = [{"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE + source_type}]
    manifest = {"claim_generator_info": [{"name": GENERATOR, "version": "1"}],
                "assertions": [{"label": "c2pa.actions", "data": {"actions": actions}}]}
    chain, key = _certificates()
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", chain, key, None))
    out = io.BytesIO()
    c2pa.Builder(json.dumps(manifest)).sign(signer, mime, io.BytesIO(content), out)
    return out.getvalue()


def _certificates() -> tuple[bytes, bytes]:
    """(chain, key) in PEM: a certificate to sign with, and the one of its authority."""
    authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("An authority", authority, "An authority", authority, None)
    usage = ExtendedKeyUsageOID.EMAIL_PROTECTION
    leaf = _certificate(SIGNER, own, "An authority", authority, usage)
    key = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return leaf + root, key


def _certificate(name, key, issuer, issuer_key, usage) -> bytes:
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    ends = usage is not None
    uses = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment",
                          "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
                          "encipher_only", "decipher_only"), False)
    uses |= {"digital_signature": True} if ends else {"key_cert_sign": True, "crl_sign": True}
    made = (x509.CertificateBuilder().subject_name(_name(name)).issuer_name(_name(issuer))
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - day).not_valid_after(now + 30 * day)
            .add_extension(x509.BasicConstraints(not ends, None), True)
            .add_extension(x509.KeyUsage(**uses), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                issuer_key.public_key()), False))
    if ends:
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), False)
    return made.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
                      x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)])


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a RIFF file."""
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def with_chunks(wav: bytes, *chunks: bytes) -> bytes:
    """A WAV file with further chunks at its end."""
    body = wav[8:] + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def with_info(wav: bytes, **tags: bytes) -> bytes:
    """A WAV file with RIFF INFO tags."""
    info = b"".join(chunk(name.encode(), value) for name, value in tags.items())
    return with_chunks(wav, chunk(b"LIST", b"INFO" + info))


def tagged(samples: np.ndarray, container: str, encoder: str, tags: dict[str, str], cut: int = 0,
           **options: str) -> bytes:
    """16 kHz int16 samples (n,) encoded by libav, with tags; an edit list hides the first `cut`."""
    import av
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=options) as file:
        file.metadata.update(tags)
        stream = file.add_stream(encoder, rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = 16000
        frame.pts = 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            packet.pts -= cut
            packet.dts -= cut
            file.mux(packet)
    return buffer.getvalue()
