"""The variables' meaning inside the process; the launch program's plan (crates/destinations) has the same cases."""

import os
import sys
import unittest
from unittest import mock

from support import SOURCE

sys.path.append(str(SOURCE))

from packlight_agent import settings


def environment(**variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return mock.patch.dict(os.environ, {**kept, **{f"OTEL_{name}": value for name, value in variables.items()}}, clear=True)


class Settings(unittest.TestCase):
    def test_an_address_is_used_as_the_specification_says(self):
        cases = [
            ({}, "http://localhost:4318/v1/traces"),
            ({"EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "http://c:4318/v1/traces"),
            ({"EXPORTER_OTLP_ENDPOINT": "https://c/otlp/"}, "https://c/otlp/v1/traces"),
            ({"EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318"}, "http://c:4318/"),
            ({"EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/mine?k=v"}, "http://c/mine?k=v"),
            ({"EXPORTER_OTLP_ENDPOINT": "c:4317", "EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://c:4318/v1/traces"),
            ({"EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4317"}, "http://c:4318/v1/traces"),
            ({"EXPORTER_OTLP_ENDPOINT": "http://c:4317", "EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "http://c:4317/v1/traces"),
            ({"EXPORTER_OTLP_ENDPOINT": "http://[::1]:4318"}, "http://[::1]:4318/v1/traces"),
        ]
        for variables, expected in cases:
            with self.subTest(variables), environment(**variables):
                self.assertEqual(settings.Otlp("traces").url, expected)

    def test_a_timeout_is_in_milliseconds_and_below_100_in_seconds(self):
        for given, expected in {"": 10, "10000": 10, "10": 10, "1.5": 1.5, "250": 0.25, "x": 10, "-1": 10}.items():
            with self.subTest(given), environment(EXPORTER_OTLP_TIMEOUT=given):
                self.assertEqual(settings.Otlp("logs").timeout, expected)

    def test_headers_are_decoded_and_a_signals_own_win(self):
        with environment(EXPORTER_OTLP_HEADERS="Authorization=Basic%20a%3D%3D, x = y,broken,bad=a%0d%0ab: c"):
            self.assertEqual(settings.Otlp("traces").headers, {"authorization": "Basic a==", "x": "y"})
        with environment(EXPORTER_OTLP_HEADERS="x=y", EXPORTER_OTLP_TRACES_HEADERS="z=1"):
            self.assertEqual(settings.Otlp("traces").headers, {"z": "1"})

    def test_only_what_was_asked_for_is_on(self):
        cases = [
            ({}, "", "", ""),
            ({"TRACES_EXPORTER": "console"}, "console", "", ""),
            ({"EXPORTER_OTLP_ENDPOINT": "http://c"}, "otlp", "otlp", "otlp"),
            ({"EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, "otlp", "", ""),
            ({"EXPORTER_OTLP_ENDPOINT": "http://c", "LOGS_EXPORTER": "none"}, "otlp", "otlp", ""),
            ({"TRACES_EXPORTER": "otlp, console"}, "console otlp", "", ""),
            ({"TRACES_EXPORTER": "zipkin", "METRICS_EXPORTER": "prometheus"}, "zipkin", "prometheus", ""),
            ({"TRACES_EXPORTER": "jaeger", "METRICS_EXPORTER": "zipkin"}, "", "", ""),
            ({"EXPORTER_OTLP_ENDPOINT": "http://c", "SDK_DISABLED": "true"}, "", "", ""),
        ]
        for variables, *expected in cases:
            with self.subTest(variables), environment(**variables):
                self.assertEqual([" ".join(sorted(settings.exporters(each))) for each in settings.SIGNALS], expected)


if __name__ == "__main__":
    unittest.main()
