"""Reports of what was measured in a volume: FHIR, PDF and DICOM. They make no findings."""
