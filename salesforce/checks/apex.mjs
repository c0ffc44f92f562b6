// Parses every Apex class of the package with the grammar that follows Salesforce's compiler.
// node checks/apex.mjs
// Each syntax error is a line; one of them ends it with 1. Types are checked by an org only.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  ApexErrorListener,
  ApexParserFactory
} from "@apexdevtools/apex-parser";

const FOLDER = "force-app/main/default/classes";

class Errors extends ApexErrorListener {
  constructor(file) {
    super();
    this.file = file;
    this.found = [];
  }

  apexSyntaxError(line, column, message) {
    this.found.push(`${this.file}:${line}:${column}: ${message}`);
  }
}

function errorsIn(file) {
  const errors = new Errors(file);
  const text = readFileSync(file, "utf8");
  ApexParserFactory.createLexerAndParser(text, errors).parser.compilationUnit();
  return errors.found;
}

const names = readdirSync(FOLDER).filter((name) => name.endsWith(".cls"));
if (names.length === 0) {
  throw new Error(`${FOLDER}: no class is there`);
}
const errors = names.flatMap((name) => errorsIn(join(FOLDER, name)));
errors.forEach((error) => console.error(error));
console.log(`${names.length} Apex classes parsed, ${errors.length} errors`);
process.exitCode = errors.length > 0 ? 1 : 0;
