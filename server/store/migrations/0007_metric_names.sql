-- Metrics take the names that SAEBench and SAELens have for them. Their definitions are the same, and so are their versions.
update metric set name = case name
    when 'ce_model' then 'ce_loss_without_sae'
    when 'ce_spliced' then 'ce_loss_with_sae'
    when 'ce_zero_ablation' then 'ce_loss_with_ablation'
    when 'ce_mean_ablation' then 'ce_loss_with_mean_ablation'
    when 'kl' then 'kl_div_with_sae'
    when 'kl_zero_ablation' then 'kl_div_with_ablation'
    when 'perplexity_model' then 'perplexity_without_sae'
    when 'perplexity_spliced' then 'perplexity_with_sae'
    when 'norm_ratio' then 'l2_ratio'
    when 'explained_variance_per_token' then 'explained_variance_legacy'
    else name
end;

-- Of the curves of runs, what is measured on the way.
update history set point =
    replace(replace(replace(replace(replace(point,
        '"validation/ce_model":', '"validation/ce_loss_without_sae":'),
        '"validation/ce_spliced":', '"validation/ce_loss_with_sae":'),
        '"validation/kl":', '"validation/kl_div_with_sae":'),
        '"validation/norm_ratio":', '"validation/l2_ratio":'),
        '"validation/explained_variance_per_token":', '"validation/explained_variance_legacy":')
where point like '%"validation/%';
