"""Tracked ultrasound: live pictures on the device, the volume and a report from the gateway.

Research software: it measures, and makes no findings.
"""
