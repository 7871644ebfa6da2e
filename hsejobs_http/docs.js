// The API page: Swagger UI with this shim's own description; loads nothing from other hosts.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
  // A token that was entered is forgotten with the page.
  persistAuthorization: false,
  presets: [SwaggerUIBundle.presets.apis],
});
