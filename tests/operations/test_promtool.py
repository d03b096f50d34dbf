"""The alerts of docs/operations/alerts.yml, evaluated by promtool: each fires when it should, and not when it should not.

tests/real/prepare fetches promtool; without it this is skipped, or a failure where HUBVAULT_NO_SKIP=1.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(os.environ["HUBVAULT_SOURCE"]).resolve()
PARTS = pathlib.Path(os.environ.get("HUBVAULT_REAL_DIR", SOURCE / "build/real"))
PROMTOOL = PARTS / "promtool"
ALERTS = SOURCE / "docs/operations/alerts.yml"

AT = 'job="hubvault",instance="a:9464"'
HUB = AT + ',hub="orders",team="trade"'


def buckets(name, slow):
    """One observation a second, at most 0.5 s each or, slow, 20 s."""
    return {f'{name}_bucket{{{AT},le="{le}"}}': "0+60x200" if slow is None or slow <= float(le) else "0+0x200" for le in ("0.5", "2", "20", "60", "inf")}


def lost(cause, values):
    return {f'hubvault_gap_offsets_total{{{HUB},cause="{cause}"}}': values}


# Per alert: series, one value a minute; the minute that is looked at; whether it fires.
SCENES = {
    "HubvaultDown": [({f"up{{{AT}}}": "1x5 0x60"}, "12m", True), ({f"up{{{AT}}}": "1x5 0x3 1x60"}, "12m", False)],
    "HubvaultNotReady": [({f"hubvault_ready{{{AT}}}": "0x60"}, "16m", True), ({f"hubvault_ready{{{AT}}}": "0x10 1x50"}, "16m", False)],
    "HubvaultRestarting": [({f"process_start_time_seconds{{{AT}}}": "1000 1000 2000 3000 4000 5000 5000x60"}, "10m", True),
                           ({f"process_start_time_seconds{{{AT}}}": "1000 1000 2000x60"}, "10m", False),
                           ({'process_start_time_seconds{job="other"}': "1000 1000 2000 3000 4000 5000 5000x60"}, "10m", False)],
    "HubvaultEventsLost": [(lost("retention", "0x20 7x100"), "25m", True), (lost("truncation", "_x20 7x100"), "25m", True),
                           (lost("re-created", "_x20 7x100"), "25m", True), (lost("transaction", "0x20 7x100"), "25m", False),
                           (lost("retention", "7x100"), "25m", False), (lost("retention", "0x20 7x100"), "50m", False)],
    "HubvaultUnexplainedGaps": [(lost("unknown", "0x20 7x100"), "25m", True), (lost("compaction", "0x20 7x100"), "25m", False)],
    "HubvaultHeadroomLow": [({f"hubvault_headroom_seconds{{{HUB}}}": "86400x30 20000x60"}, "40m", True),
                            ({f"hubvault_headroom_seconds{{{HUB}}}": "86400x30 30000x60"}, "40m", False),
                            ({f"hubvault_headroom_seconds{{{HUB}}}": "3600x30 3000x60"}, "40m", False)],      # a hub that keeps an hour
    "HubvaultHeadroomCritical": [({f"hubvault_headroom_seconds{{{HUB}}}": "86400x30 3000x60"}, "40m", True),
                                 ({f"hubvault_headroom_seconds{{{HUB}}}": "86400x30 -5x60"}, "40m", True),
                                 ({f"hubvault_headroom_seconds{{{HUB}}}": "86400x30 20000x60"}, "40m", False),
                                 ({f"hubvault_headroom_seconds{{{HUB}}}": "3600x30 3000x60"}, "40m", False)],
    "HubvaultLagGrowing": [({f"hubvault_lag_events{{{HUB}}}": "20000+1000x200"}, "90m", True),
                           ({f"hubvault_lag_events{{{HUB}}}": "900000-1000x200"}, "90m", False),
                           ({f"hubvault_lag_events{{{HUB}}}": "0+10x200"}, "90m", False)],
    "HubvaultNothingRead": [({f"hubvault_read_events_total{{{HUB}}}": "5x100", f"hubvault_lag_events{{{HUB}}}": "9x100"}, "30m", True),
                            ({f"hubvault_read_events_total{{{HUB}}}": "5+1x100", f"hubvault_lag_events{{{HUB}}}": "9x100"}, "30m", False),
                            ({f"hubvault_read_events_total{{{HUB}}}": "5x100", f"hubvault_lag_events{{{HUB}}}": "0x100"}, "30m", False)],
    "HubvaultPartitionsStopped": [({f"hubvault_stopped_partitions{{{HUB}}}": "0x5 1x60"}, "8m", True),
                                  ({f"hubvault_stopped_partitions{{{HUB}}}": "0x60"}, "8m", False)],
    "HubvaultStoreFailing": [({f"hubvault_store_failing_seconds{{{AT}}}": "0+60x60"}, "10m", True),
                             ({f"hubvault_store_failing_seconds{{{AT}}}": "0 60 120 0x60"}, "10m", False)],
    "HubvaultSealsRetried": [({f'hubvault_retries_total{{{AT},operation="seal"}}': "0+6x100"}, "40m", True),
                             ({f'hubvault_retries_total{{{AT},operation="ask"}}': "0+6x100"}, "40m", False),
                             ({f'hubvault_retries_total{{{AT},operation="seal"}}': "0+1x100"}, "40m", False)],
    "HubvaultPutsSlow": [(buckets("hubvault_store_put_duration_seconds", 20), "40m", True),
                         (buckets("hubvault_store_put_duration_seconds", None), "40m", False)],
    "HubvaultIndexSlow": [(buckets("hubvault_index_commit_duration_seconds", 20), "40m", True),
                          (buckets("hubvault_index_commit_duration_seconds", None), "40m", False)],
    "HubvaultMemoryFull": [({f"hubvault_memory_used_bytes{{{AT}}}": "97x60", f"hubvault_memory_limit_bytes{{{AT}}}": "100x60"}, "15m", True),
                           ({f"hubvault_memory_used_bytes{{{AT}}}": "60x60", f"hubvault_memory_limit_bytes{{{AT}}}": "100x60"}, "15m", False)],
    "HubvaultThreadStalled": [({f"hubvault_threads_stalled{{{AT}}}": "1x60"}, "3m", True), ({f"hubvault_threads_stalled{{{AT}}}": "0x60"}, "3m", False)],
    "HubvaultNoDiscovery": [({f"hubvault_discovery_last_success_timestamp_seconds{{{AT}}}": "60x60"}, "30m", True),
                            ({f"hubvault_discovery_last_success_timestamp_seconds{{{AT}}}": "0+60x60"}, "30m", False)],
    "HubvaultPartitionsLost": [({f"hubvault_lost_partitions_total{{{AT}}}": "0x10 4x60"}, "15m", True),
                               ({f"hubvault_lost_partitions_total{{{AT}}}": "4x60"}, "15m", False)],
    "HubvaultRebalancing": [({f"hubvault_rebalances_total{{{AT}}}": "0+1x100"}, "70m", True),
                            ({f"hubvault_rebalances_total{{{AT}}}": "0x10 1 2 3x100"}, "70m", False)],
    "HubvaultReloadRefused": [({f'hubvault_reloads_total{{{AT},result="refused"}}': "0x10 1x60"}, "15m", True),
                              ({f'hubvault_reloads_total{{{AT},result="done"}}': "0x10 1x60"}, "15m", False)],
    "HubvaultSnapshotsFailing": [({f"hubvault_snapshot_failures_total{{{AT}}}": "0x10 1x60"}, "15m", True),
                                 ({f"hubvault_snapshot_failures_total{{{AT}}}": "1x60"}, "15m", False)],
    "HubvaultFewFileDescriptors": [({f"process_open_fds{{{AT}}}": "900x60", f"process_max_fds{{{AT}}}": "1000x60"}, "20m", True),
                                   ({f"process_open_fds{{{AT}}}": "90x60", f"process_max_fds{{{AT}}}": "1000x60"}, "20m", False)],
}


def tests():
    """YAML takes JSON. The alerts that fire are a series themselves, which spares repeating annotations."""
    for alert, scenes in SCENES.items():
        for series, at, fires in scenes:
            yield {"name": f"{alert} {'fires' if fires else 'does not fire'}", "interval": "1m",
                   "input_series": [{"series": name.replace('le="inf"', 'le="+Inf"'), "values": values} for name, values in series.items()],
                   "promql_expr_test": [{"expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})', "eval_time": at,
                                         "exp_samples": [{"labels": "{}", "value": 1}] if fires else []}]}


def run(*words, folder=None):
    done = subprocess.run([PROMTOOL, *words], capture_output=True, text=True, timeout=120, cwd=folder)
    print(done.stdout, done.stderr)
    return done.returncode == 0


def main():
    if not PROMTOOL.exists():
        print("promtool is missing; tests/real/prepare fetches it")
        return 1 if os.environ.get("HUBVAULT_NO_SKIP") == "1" else 77
    named = {line.split()[-1] for line in ALERTS.read_text().splitlines() if line.strip().startswith("- alert:")}
    if named != set(SCENES):
        print("alerts without a scene, or scenes without an alert:", named ^ set(SCENES))
        return 1
    one_sided = [alert for alert, scenes in SCENES.items() if {fires for _, _, fires in scenes} != {True, False}]
    with tempfile.TemporaryDirectory() as folder:
        scenes = pathlib.Path(folder, "scenes.yml")
        scenes.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": list(tests())}))
        return 0 if run("check", "rules", ALERTS) and run("test", "rules", scenes) and not one_sided else 1


sys.exit(main())
