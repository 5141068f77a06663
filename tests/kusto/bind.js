// Parses and binds Kusto queries with Microsoft's own language service.
//
// In, as JSON: {"tables": {name: {column: type}}, "queries": [text]}. Out, for each query: {"errors": [message],
// "columns": [name]}, the columns being those that it returns.
"use strict";

// The package is a program of .NET that was translated: it makes globals, its runtime first.
require("@kusto/language-service-next/bridge.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.js");

const { GlobalState, KustoCode, DiagnosticSeverity } = Kusto.Language;
const { DatabaseSymbol, TableSymbol } = Kusto.Language.Symbols;

function stateOf(tables) {
  const symbols = Object.entries(tables).map(([name, columns]) => {
    const schema = Object.entries(columns).map(([column, type]) => `['${column}']: ${type}`);
    return new TableSymbol.$ctor7(name, `(${schema.join(", ")})`, "");
  });
  const database = new DatabaseSymbol.$ctor3("workspace", null, symbols, false);
  return GlobalState.Default.WithDatabase(database);
}

function each(list) {
  return Array.from({ length: list.Count }, (_, index) => list.getItem(index));
}

function bound(text, state) {
  const code = KustoCode.ParseAndAnalyze(text, state);
  const found = each(code.GetDiagnostics());
  const result = code.ResultType;
  return {
    errors: found.map((one) => `${one.Severity} at ${one.Start}: ${one.Message}`),
    columns: result && result.Columns ? each(result.Columns).map((one) => one.Name) : [],
  };
}

const asked = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const state = stateOf(asked.tables);
process.stdout.write(JSON.stringify(asked.queries.map((text) => bound(text, state))));
