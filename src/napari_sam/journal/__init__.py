"""A record of every accepted object, to make labels anew from: one database for all sessions.

`Journal` writes; `list_journals` says what there is, `read_journal` reads records, and
`napari_sam.journal.restoring.restore` builds labels anew. Files of JSON lines of the releases before are read as well.
"""

from napari_sam.journal.catalog import JournalSummary, list_journals
from napari_sam.journal.reading import JournalRecords, journal_files, read_journal, read_lines
from napari_sam.journal.writing import Journal
from napari_sam.masks import decode_mask, encode_mask

__all__ = [
    "Journal",
    "JournalRecords",
    "JournalSummary",
    "decode_mask",
    "encode_mask",
    "journal_files",
    "list_journals",
    "read_journal",
    "read_lines",
]
