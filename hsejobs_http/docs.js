// The page of the API: Swagger UI on this shim's own description, with nothing of other hosts.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
  // A token that was typed in is gone with the page.
  persistAuthorization: false,
  presets: [SwaggerUIBundle.presets.apis],
});
