# What an account needs once before a pipeline deploys to it: the stack of infra/bootstrap.yaml, which says what that is.

locals {
  given = {
    Prefix               = var.prefix
    EnvironmentSuffix    = var.stage
    GitHubRepository     = var.github_repository
    GitHubRepositoryId   = var.github_repository_id
    OidcProviderArn      = var.oidc_provider_arn
    CreateArtifactBucket = tostring(var.create_artifact_bucket)
    CreateKmsKey         = tostring(var.create_kms_key)
  }
}

resource "aws_cloudformation_stack" "bootstrap" {
  # As `weaudit bootstrap` names it.
  name          = "${var.prefix}weaudit-bootstrap-of-${var.stage}"
  template_body = file("${path.module}/../../bootstrap.yaml")
  parameters    = merge(var.parameters, { for name, value in local.given : name => value if value != null })
  capabilities  = ["CAPABILITY_IAM"]
  tags          = merge(var.tags, { "weaudit:deployed-by" = "terraform" })
}
