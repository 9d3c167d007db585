"""The md5 sums that the publishers of ASVspoof5 state (Zenodo record 14498691)."""
import hashlib
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from utils.common.errors import InputError
from utils.common.files import reading

CHUNK = 1 << 20
MD5 = {
    "ASVspoof5_protocols.tar.gz": "865d0e894ea9f686f0f37e5ae3ae3616",
    "ASVspoof5.train.tsv": "cbfa08e2fab1423e828f102bc97a22f0",
    "ASVspoof5.dev.track_1.tsv": "e949dee1091a49b04943c548b5cf9860",
    "ASVspoof5.eval.track_1.tsv": "50c0591d45a282cb787a5a4614394f67",
    "flac_T_aa.tar": "b0cc86b14826a7701b52aad4f53daf9c",
    "flac_T_ab.tar": "d05be3f4be7a343fdbdd0ed29fdff2e1",
    "flac_T_ac.tar": "70d1ba4ad75a20aef3dae541fbd321e3",
    "flac_T_ad.tar": "c9bb56af2cc410d98338d74babcb95c9",
    "flac_T_ae.tar": "a3969816982f3e52300d6147ad796df7",
    "flac_D_aa.tar": "df0be44957623991028cce59792beb17",
    "flac_D_ab.tar": "1e8cd685d89b64502692f1bcf1a13db3",
    "flac_D_ac.tar": "5e0031f08c30e4bdbf0c59f91b2d662b",
    "flac_E_aa.tar": "a8c800766f3d4ef87971e2b4f29663e2",
    "flac_E_ab.tar": "c35064188f54f07c87aba58de22534a0",
    "flac_E_ac.tar": "ed7cbcd1b2847998b72472ddf6b445e3",
    "flac_E_ad.tar": "626a080e994b05df49c577d7b3dede8d",
    "flac_E_ae.tar": "05f19a5e64fa556714ae1b38eb2ea70b",
    "flac_E_af.tar": "2ca2f52a3bbf827f7ec155ecb47e85d6",
    "flac_E_ag.tar": "671200b5de2fc1e74a563b07b057af8f",
    "flac_E_ah.tar": "eaf885b1299a61eb07f71e82e96dba37",
    "flac_E_ai.tar": "b2625683bf440abae2af901a45542ad9",
    "flac_E_aj.tar": "c50281c8233af6f3b0899604d21ade44",
}


def check_md5(paths: Iterable[Path]) -> int:
    """The number of `paths` whose sum is known and agrees; `InputError` where one differs."""
    known = [path for path in dict.fromkeys(paths) if path.name in MD5]
    for path in known:
        found = _md5(path)
        if found != MD5[path.name]:
            raise InputError(f"{path} has the md5 sum {found}, but {MD5[path.name]} is published: "
                             "download it again")
    return len(known)


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    bar = tqdm(total=path.stat().st_size, unit="B", unit_scale=True, desc=f"md5 {path.name}",
               mininterval=0.5)
    with bar, reading(path), open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()
