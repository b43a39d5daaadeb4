"""What kinds of files a rule can name, and how a download is told to be one.

By the media type, the extensions of its names, and the first bytes. Archives are not looked into:
what is in one is an archive. Nor are documents: one with macros is known by its name alone.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from categories.entry_key import plain_path

_REFUSED = "a download of a type that is not allowed"
_NOT_TOLD = "a download of a type that cannot be told"

BEGINNING_BYTES = 512
"""How many of a body's first bytes tell what it is, where they can."""


@dataclass(frozen=True, slots=True)
class FileType:
    """A kind of file. `label` fills "The town does not allow {label} from here.", `one` "This is {one}."

    `extensions` and `media_types` are in lower case; a media type that ends in a slash stands for all
    below it. `beginning` matches the first bytes, None where they do not tell.
    """

    label: str
    one: str
    extensions: frozenset[str]
    media_types: frozenset[str]
    beginning: re.Pattern[bytes] | None = None


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _file_type(
    label: str, one: str, extensions: str, media_types: str, beginning: bytes | None = None
) -> FileType:
    found = None if beginning is None else re.compile(beginning, re.DOTALL)
    return FileType(label, one, _words(extensions), _words(media_types), found)


FILE_TYPES: Mapping[str, FileType] = {
    "executable": _file_type(
        "programs",
        "an executable file",
        "exe com scr pif cpl dll sys ocx jar run appimage bin elf",
        "application/x-msdownload application/x-dosexec application/x-msdos-program application/x-executable"
        " application/vnd.microsoft.portable-executable application/x-elf application/x-mach-binary"
        " application/java-archive application/x-java-archive",
        # Of Windows, with where its header is; of Linux; of macOS, in both byte orders and as several in one.
        rb"MZ.{58}..\x00\x00|\x7fELF|\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe|\xca\xfe\xba\xbe",
    ),
    "installer": _file_type(
        "installers",
        "an installer",
        "msi msp mst msix msixbundle appx appxbundle pkg mpkg deb rpm apk aab ipa snap flatpak xpi crx",
        "application/x-msi application/x-ms-installer application/vnd.debian.binary-package application/x-rpm"
        " application/x-debian-package application/vnd.android.package-archive application/x-xpinstall"
        " application/x-chrome-extension application/x-newton-compatible-pkg",
        rb"!<arch>\ndebian|\xed\xab\xee\xdb|xar!|Cr24",
    ),
    "script": _file_type(
        "scripts",
        "a script",
        "bat cmd ps1 psm1 vbs vbe jse wsf wsh hta reg lnk scf sh command scpt",
        "application/x-sh application/x-bat application/x-powershell application/hta"
        " application/x-ms-shortcut text/x-shellscript text/vbscript",
        rb"#!|L\x00\x00\x00\x01\x14\x02\x00",
    ),
    "archive": _file_type(
        "archives",
        "an archive",
        "zip zipx rar 7z tar gz tgz bz2 tbz2 xz txz zst lz lzma z cab lzh ace arj",
        "application/zip application/x-zip-compressed application/vnd.rar application/x-rar-compressed"
        " application/x-7z-compressed application/x-tar application/gzip application/x-gzip"
        " application/x-bzip2 application/x-xz application/zstd application/vnd.ms-cab-compressed",
        rb"PK(?:\x03\x04|\x05\x06|\x07\x08)|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c|\x1f\x8b\x08|BZh[1-9]|\xfd7zXZ\0"
        rb"|\x28\xb5\x2f\xfd|MSCF\0\0\0\0|.{257}ustar",
    ),
    "disk_image": _file_type(
        "disk images",
        "a disk image",
        "iso img dmg vhd vhdx vmdk vdi qcow2",
        "application/x-iso9660-image application/x-cd-image application/x-apple-diskimage"
        " application/x-raw-disk-image application/x-virtualbox-vdi",
        rb"vhdxfile|conectix|KDMV|QFI\xfb|.{64}\x7f\x10\xda\xbe",
    ),
    "office_macro": _file_type(
        "documents with macros",
        "a document with macros",
        "docm dotm xlsm xltm xlam xlsb pptm potm ppam ppsm sldm",
        "application/vnd.ms-word.document.macroenabled.12 application/vnd.ms-word.template.macroenabled.12"
        " application/vnd.ms-excel.sheet.macroenabled.12 application/vnd.ms-excel.template.macroenabled.12"
        " application/vnd.ms-excel.addin.macroenabled.12"
        " application/vnd.ms-excel.sheet.binary.macroenabled.12"
        " application/vnd.ms-powerpoint.presentation.macroenabled.12"
        " application/vnd.ms-powerpoint.slideshow.macroenabled.12",
    ),
    "video": _file_type(
        "videos",
        "a video",
        "mp4 m4v mkv webm avi mov wmv flv mpg mpeg 3gp ogv",
        "video/",
        rb".{4}ftyp(?:isom|iso[2-9]|mp4[12]|avc1|qt  |M4V |3gp)|\x1a\x45\xdf\xa3|FLV\x01"
        rb"|\x00\x00\x01\xba|RIFF.{4}AVI ",
    ),
    "audio": _file_type(
        "music and sound",
        "a sound recording",
        "mp3 m4a wav flac ogg oga opus aac wma aiff",
        "audio/",
        rb"ID3[\x02-\x04]|fLaC|OggS\0|RIFF.{4}WAVE|.{4}ftypM4A ",
    ),
    "torrent": _file_type(
        "torrents",
        "a torrent",
        "torrent",
        "application/x-bittorrent",
        rb"d\d+:(?:announce|comment|created by|creation date|info)",
    ),
}
"""By the word that stands in a rule."""

# What a page shows or works with by itself: a name in its address is the page's, and not a file's.
_PARTS_OF_PAGES = _words(
    "text/html application/xhtml+xml text/css text/javascript application/javascript application/json"
    " text/event-stream application/manifest+json application/wasm"
)
# Media types of what no rule can name. Other texts are shown as such, whatever is in them; browsers save
# what is no text in a text/plain, and anything that a page has marked as a download.
_TEXT, _SNIFFED_TEXT = "text/", "text/plain"
_DOCUMENTS = ("application/vnd.openxmlformats", "application/vnd.oasis", "application/epub+zip")
_SHOWN = ("image/", "font/", "application/pdf", *_DOCUMENTS)
# Zip inside, and no archive to anyone.
_ZIPPED_DOCUMENTS = _words(
    "docx xlsx pptx dotx xltx potx ppsx odt ods odp odg epub docm xlsm pptm vsdx jar apk xpi"
)
_FILE_NAME = re.compile(r"filename(\*?)\s*=\s*(\"(?:[^\"\\]|\\.)*\"|[^;]*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Download:
    """An http_response as far as its head tells what file it is.

    `path` is the http_request's, `disposition` and `media_type` as they came, empty where not given.
    """

    path: str
    media_type: str = ""
    disposition: str = ""

    @property
    def named_types(self) -> frozenset[str]:
        """What it is by its media type and its names."""
        media_type, extensions = self._bare_media_type, self._extensions
        above = media_type.partition("/")[0] + "/"
        return frozenset(
            id_
            for id_, file_type in FILE_TYPES.items()
            if file_type.extensions & extensions or {media_type, above} & file_type.media_types
        )

    @property
    def is_told(self) -> bool:
        """Whether its head says what it is; the first bytes are asked else.

        A program may be sent as anything that is no part of a page: an image, a PDF, a video.
        """
        if self._is_attachment:
            return False
        media_type = self._bare_media_type
        is_text = media_type.startswith(_TEXT) and media_type != _SNIFFED_TEXT
        return media_type in _PARTS_OF_PAGES or is_text

    @property
    def is_told_without_beginning(self) -> bool:
        """Whether a later part of it is what its head says: PDFs and videos are read in parts."""
        if self._is_attachment:
            return False
        is_shown = self._bare_media_type.startswith((_TEXT, *_SHOWN))
        return is_shown or self.is_told or bool(self.named_types)

    def types_of(self, beginning: bytes) -> frozenset[str]:
        """Return what it is by its head and by its first bytes (`BEGINNING_BYTES`, or all there are)."""
        found = {
            id_
            for id_, file_type in FILE_TYPES.items()
            if file_type.beginning is not None and file_type.beginning.match(beginning)
        }
        if self._extensions & _ZIPPED_DOCUMENTS or self._bare_media_type.startswith(_DOCUMENTS):
            found.discard("archive")
        return self.named_types | found

    @property
    def _bare_media_type(self) -> str:
        return self.media_type.partition(";")[0].strip().lower()

    @property
    def _is_attachment(self) -> bool:
        return self.disposition.strip().lower().startswith("attachment")

    @property
    def _extensions(self) -> frozenset[str]:
        names = list(_file_names(self.disposition))
        if self._is_attachment or self._bare_media_type not in _PARTS_OF_PAGES:
            names.append(plain_path(self.path).rpartition("/")[2].partition(";")[0])
        # Windows leaves out dots and spaces at the end of a name.
        return frozenset(name.lower().rstrip(". ").rpartition(".")[2] for name in names if "." in name)


def refusal_of(types: frozenset[str]) -> str:
    """Return the refusal in the record of a download that was stopped for these types; none: not told."""
    return f"{_REFUSED}: {', '.join(sorted(types))}" if types else _NOT_TOLD


def refused_types(refusal: str | None) -> frozenset[str] | None:
    """Return the types that a `refusal_of` names; None for a refusal of anything else."""
    if refusal == _NOT_TOLD:
        return frozenset()
    said, colon, types = (refusal or "").partition(": ")
    return frozenset(types.split(", ")) & FILE_TYPES.keys() if colon and said == _REFUSED else None


def described(types: Iterable[str]) -> str:
    """Return what a file of these types is: "an archive and an executable file"; none: not told."""
    return (
        " and ".join(FILE_TYPES[id_].one for id_ in sorted(types)) or "a file of a kind that cannot be told"
    )


def _file_names(disposition: str) -> Iterable[str]:
    """Yield every name that a Content-Disposition gives (RFC 6266): browsers differ in which they take."""
    for is_extended, value in _FILE_NAME.findall(disposition):
        name = value.strip().strip('"')
        yield unquote(name.rpartition("'")[2] if is_extended else name)
