"""The tables of an Application Insights resource, filled with what a sidecar sent, as ingestion would do;
and an engine that runs KQL on them."""

import json
import re

import duckdb
import duckdb_kql

COMMON = {
    "timestamp": "timestamp",
    "itemType": "varchar",
    "customDimensions": "json",
    "operation_Id": "varchar",
    "operation_ParentId": "varchar",
    "operation_Name": "varchar",
    "cloud_RoleName": "varchar",
    "cloud_RoleInstance": "varchar",
    "itemCount": "integer",
}
CALL = {"id": "varchar", "name": "varchar", "success": "varchar", "resultCode": "varchar", "duration": "double"}
TABLES = {
    "requests": {**CALL, "url": "varchar"},
    "dependencies": {**CALL, "target": "varchar", "type": "varchar", "data": "varchar"},
    "exceptions": {"problemId": "varchar", "type": "varchar", "severityLevel": "integer"},
    "traces": {"message": "varchar", "severityLevel": "integer"},
    "customEvents": {"name": "varchar"},
    "customMetrics": {
        "name": "varchar",
        "value": "double",
        "valueSum": "double",
        "valueCount": "integer",
        "valueMin": "double",
        "valueMax": "double",
    },
}
ITEM_TYPES = {
    "requests": "request",
    "dependencies": "dependency",
    "exceptions": "exception",
    "traces": "trace",
    "customEvents": "customEvent",
    "customMetrics": "customMetric",
}
# What the engine does not know, in its own words. All items weigh the same here: nothing is sampled.
INSTEAD = [
    (r"percentilew\((\w+), itemCount, (\d+)\)", r"percentile(\1, \2)"),
    (r"(max|min)if\((\w+), (\w+ == '[\w.]+')\)", r"\1(iff(\3, \2, real(null)))"),
]


class Resource:
    """Its tables, of items."""

    def __init__(self, items):
        self.database = duckdb.connect()
        self.database.execute("set timezone = 'UTC'")
        rows = {table: [] for table in TABLES}
        for item in items:
            table, row = row_of(item)
            rows[table].append({**common(item, table), **row})
        for table, own in TABLES.items():
            columns = {**own, **COMMON}
            self.database.execute(
                f"create table {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})"
            )
            values = [[row[name] for name in columns] for row in rows[table]]
            if values:
                marks = ", ".join("?" * len(columns))
                self.database.executemany(f"insert into {table} values ({marks})", values)

    def ask(self, query):
        """Rows, each by the names of its columns."""
        for written, instead in INSTEAD:
            query = re.sub(written, instead, query)
        answer = duckdb_kql.kql(self.database, query)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.fetchall()]


def common(item, table):
    tags, data = item["tags"], item["data"]["baseData"]
    return {
        "timestamp": item["time"],
        "itemType": ITEM_TYPES[table],
        "customDimensions": json.dumps(data.get("properties", {})),
        "operation_Id": tags.get("ai.operation.id", ""),
        "operation_ParentId": tags.get("ai.operation.parentId", ""),
        "operation_Name": tags.get("ai.operation.name", ""),
        "cloud_RoleName": tags["ai.cloud.role"],
        "cloud_RoleInstance": tags["ai.cloud.roleInstance"],
        "itemCount": round(100 / item.get("sampleRate", 100)),
    }


def row_of(item):
    kind, data = item["data"]["baseType"], item["data"]["baseData"]
    match kind:
        case "RequestData":
            return "requests", {**call(data, "responseCode"), "url": data.get("url", "")}
        case "RemoteDependencyData":
            more = {name: data[name] for name in ("target", "type", "data")}
            return "dependencies", {**call(data, "resultCode"), **more}
        case "ExceptionData":
            told = {"problemId": data["problemId"], "type": data["exceptions"][0]["typeName"]}
            return "exceptions", {**told, "severityLevel": data["severityLevel"]}
        case "MessageData":
            return "traces", {"message": data["message"], "severityLevel": data["severityLevel"]}
        case "EventData":
            return "customEvents", {"name": data["name"]}
        case "MetricData":
            (point,) = data["metrics"]
            total, count = point["value"], point.get("count", 1)
            least, most = point.get("min", total / count), point.get("max", total / count)
            row = {"name": point["name"], "value": total / count, "valueSum": total, "valueCount": count}
            return "customMetrics", {**row, "valueMin": least, "valueMax": most}
    raise AssertionError(f"no table takes {kind}")


def call(data, code):
    row = {name: data[name] for name in ("id", "name")}
    row |= {"success": str(data["success"]), "resultCode": data[code]}
    return {**row, "duration": milliseconds(data["duration"])}


def milliseconds(text):
    """Of `d.hh:mm:ss.fffffff`, where days may be missing."""
    days, hours, minutes, seconds = re.fullmatch(r"(?:(\d+)\.)?(\d+):(\d+):([\d.]+)", text).groups()
    whole = int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60
    return 1000 * (whole + float(seconds))
