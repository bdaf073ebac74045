"""A record of every accepted object, to make labels anew from: one file a session, one JSON object a line.

`Journal` writes, `read_journal` reads, `restore` builds labels anew.
"""

from napari_sam.journal.reading import JournalRecords, journal_files, read_journal, read_lines
from napari_sam.journal.writing import Journal
from napari_sam.masks import decode_mask, encode_mask

__all__ = ["Journal", "JournalRecords", "decode_mask", "encode_mask", "journal_files", "read_journal", "read_lines"]
