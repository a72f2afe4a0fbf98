"""Snapshots of a service's data: taken and kept in a store, verified, and put back.

Content lies in the store once, under its SHA-256; a snapshot is a manifest of names and hashes. `store` keeps both,
`saving` takes a snapshot, `layout` lays one out in a folder, `exchange` swaps that with the data in place, and
`restoration` does a restore as a whole, so that a crash at any step leaves the old data or the restored ones in place.
"""
