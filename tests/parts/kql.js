// Reads [{name, query}] from stdin, parses each by Kusto's own language service against the tables of an
// Application Insights resource, and prints [{name, columns, problems}].
//
//   node kql.js NODE_MODULES < queries.json

const path = require("path");
const library = path.join(process.argv[2], "@kusto/language-service-next");
// Both talk while they load.
const log = console.log;
console.log = () => {};
require(path.join(library, "bridge.min.js"));
require(path.join(library, "Kusto.Language.Bridge.min.js"));
console.log = log;
const { TableSymbol, DatabaseSymbol } = Kusto.Language.Symbols;

const COMMON = {
  timestamp: "datetime", itemType: "string", customDimensions: "dynamic", customMeasurements: "dynamic",
  operation_Name: "string", operation_Id: "string", operation_ParentId: "string", operation_SyntheticSource: "string",
  session_Id: "string", user_Id: "string", application_Version: "string", client_Type: "string",
  cloud_RoleName: "string", cloud_RoleInstance: "string", appId: "string", appName: "string", iKey: "string",
  sdkVersion: "string", itemId: "string", itemCount: "int",
};
const TABLES = {
  requests: {
    id: "string", source: "string", name: "string", url: "string", success: "string", resultCode: "string",
    duration: "real", performanceBucket: "string",
  },
  dependencies: {
    id: "string", target: "string", type: "string", name: "string", data: "string", success: "string",
    resultCode: "string", duration: "real", performanceBucket: "string",
  },
  exceptions: {
    problemId: "string", handledAt: "string", type: "string", message: "string", assembly: "string",
    method: "string", outerType: "string", outerMessage: "string", innermostType: "string",
    innermostMessage: "string", severityLevel: "int", details: "dynamic",
  },
  traces: { message: "string", severityLevel: "int" },
  customEvents: { name: "string" },
  customMetrics: {
    name: "string", value: "real", valueSum: "real", valueCount: "int", valueMin: "real", valueMax: "real",
    valueStdDev: "real",
  },
};

function globals() {
  const tables = Object.entries(TABLES).map(([name, columns]) => {
    const all = Object.entries({ ...columns, ...COMMON }).map(([column, type]) => `${column}: ${type}`);
    return TableSymbol.From(`(${all.join(", ")})`).WithName(name);
  });
  const database = new DatabaseSymbol.$ctor3("app", null, tables, false);
  return Kusto.Language.GlobalState.Default.WithDatabase(database);
}

const state = globals();
const told = JSON.parse(require("fs").readFileSync(0, "utf8")).map(({ name, query }) => {
  const code = Kusto.Language.KustoCode.ParseAndAnalyze(query, state);
  const found = code.GetDiagnostics();
  const problems = [];
  for (let index = 0; index < found.Count; index += 1) {
    const one = found.getItem(index);
    problems.push(`${one.Severity} at ${one.Start} ${JSON.stringify(query.substr(one.Start, one.Length))}: ${one.Message}`);
  }
  const type = code.ResultType;
  const columns = {};
  if (type && type.Columns) {
    for (let index = 0; index < type.Columns.Count; index += 1) {
      const column = type.Columns.getItem(index);
      columns[column.Name] = column.Type.Name;
    }
  }
  return { name, columns, problems };
});
console.log(JSON.stringify(told));
