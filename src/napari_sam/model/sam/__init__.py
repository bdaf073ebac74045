"""Segment Anything and its relatives: SAM, MobileSAM, MedSAM, SAM-HQ."""
