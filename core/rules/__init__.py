"""Rules that several use cases and jobs share: authorization, quorum, planning, what a reply builds on."""
