// The modules of the report's app are plain scripts that share one scope (they are concatenated),
// so names of other files are tsc's business: eslint looks for what must never be in a report.
const js = require("@eslint/js");

const NO_MARKUP = "Text from files is hostile: use textContent.";

module.exports = [
  js.configs.recommended,
  {
    files: ["templates/app/*.js"],
    languageOptions: { ecmaVersion: 2022, sourceType: "script" },
    rules: {
      "no-undef": "off",
      "no-unused-vars": ["error", { vars: "local" }],
      "no-redeclare": "off",
      "eqeqeq": "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "max-len": ["error", { code: 100 }],
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: NO_MARKUP },
        { property: "outerHTML", message: NO_MARKUP },
        { property: "insertAdjacentHTML", message: NO_MARKUP },
        { object: "document", property: "write", message: NO_MARKUP },
      ],
    },
  },
];
