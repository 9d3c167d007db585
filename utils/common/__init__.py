"""What every room uses: errors, files, locks, devices, argument types, provenance."""
